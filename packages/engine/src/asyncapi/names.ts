/** Names of the parts of a document: what they are called, in the characters that AsyncAPI allows, each once. */
export interface Names {
  /** The name of a thing, the same whenever it is asked for; `key` says which thing it is, `wanted` how it should be called. */
  of(key: string, wanted: string): string
}

export function createNames(): Names {
  const byKey = new Map<string, string>()
  const taken = new Set<string>()
  return {
    of(key, wanted) {
      const known = byKey.get(key)
      if (known !== undefined) return known
      const plain = wanted.replaceAll(/[^A-Za-z0-9._-]/g, '_') || '_'
      let name = plain
      for (let number = 2; taken.has(name); number++) name = `${plain}-${number}`
      taken.add(name)
      byKey.set(key, name)
      return name
    },
  }
}
