/**
 * JSON around text that is JSON already. Payloads leave as they came: parsing and writing them again would change
 * numbers beyond 2^53, double keys and the order of keys, and then they would no longer be what was hashed.
 */
export function withRaw(object: Record<string, unknown>, name: string, raw: string): string {
  const text = JSON.stringify(object)
  const comma = text === '{}' ? '' : ','
  return `${text.slice(0, -1)}${comma}${JSON.stringify(name)}:${raw}}`
}

export function arrayText(elements: readonly string[]): string {
  return `[${elements.join(',')}]`
}

/** Stored data as JSON: itself when it is JSON, a JSON string of it when somebody put something else into the log. */
export function asJson(data: string | null): string {
  if (data === null) return 'null'
  try {
    JSON.parse(data)
    return data
  } catch {
    return JSON.stringify(data)
  }
}
