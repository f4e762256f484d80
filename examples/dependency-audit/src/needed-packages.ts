import type { LockEntry, Lockfile } from './lockfile.ts'
import { fitsMachine, type Machine } from './machine.ts'

/**
 * The paths of all packages that something on this machine asks for: walks from the repository's own manifests along the
 * dependencies, and does not walk into a package that is for another machine.
 *
 * A package's own `os` and `cpu` are not enough to know that npm leaves it out. A binding for WebAssembly is limited to
 * the cpu `wasm32`, but the runtime library that only this binding asks for is limited to nothing.
 */
export function neededPackages({ entries }: Pick<Lockfile, 'entries'>, machine: Machine): ReadonlySet<string> {
  const needed = new Set<string>()
  const open = Object.keys(entries).filter((path) => !path.includes('node_modules/'))
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const name of dependencyNames(entries[path])) {
      const found = resolve(entries, path, name)
      if (found === undefined || needed.has(found) || !fitsMachine(entries[found] ?? {}, machine)) continue
      needed.add(found)
      open.push(found)
    }
  }
  return needed
}

/** An optional peer is used when it happens to be there; nobody asks for it, so it is not among them. */
function dependencyNames(entry: LockEntry = {}): string[] {
  const peers = Object.keys(entry.peerDependencies ?? {})
  return [
    ...Object.keys(entry.dependencies ?? {}),
    ...Object.keys(entry.devDependencies ?? {}),
    ...Object.keys(entry.optionalDependencies ?? {}),
    ...peers.filter((name) => entry.peerDependenciesMeta?.[name]?.optional !== true),
  ]
}

/** As Node resolves an import: the nearest `node_modules`, from the folder of the importer upwards. */
function resolve(entries: Lockfile['entries'], from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (candidate in entries) return candidate
    if (folder === '') return undefined
  }
}
