/** Whether the payload holds a value under a path; numbers, true, false and null are compared by how they are written. */
export function payloadHolds(data: string | null, { path, value }: { path: string; value: string }): boolean {
  if (data === null || !mayHold(data, value)) return false
  return valueAt(data, path) === value
}

/** Without a backslash the text holds a string as it is, so most payloads need not be parsed. */
function mayHold(data: string, value: string): boolean {
  return data.includes('\\') || data.includes(value)
}

function valueAt(data: string, path: string): string | undefined {
  let value = parse(data)
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  if (value instanceof WrittenNumber) return value.text
  return typeof value === 'object' ? undefined : String(value)
}

/** A number as it was written: ids of more than 53 bits must not meet their neighbours. */
class WrittenNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Reviver = (name: string, value: unknown, context: { source: string }) => unknown

function parse(data: string): unknown {
  const keep: Reviver = (_name, value, { source }) => (typeof value === 'number' ? new WrittenNumber(source) : value)
  try {
    // The third argument of a reviver is in Node 24 and not yet in the types.
    return JSON.parse(data, keep as (name: string, value: unknown) => unknown)
  } catch {
    return undefined
  }
}
