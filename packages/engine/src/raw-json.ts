/**
 * The text of one member of a JSON object, exactly as it was written, or undefined when the object has no such member.
 * The text must be valid JSON (parse it first): this only walks it. The last of several members of one name counts, as
 * JSON.parse has it.
 *
 * Why not parse and stringify: numbers beyond 2^53, duplicate keys, escapes and key order would not survive.
 */
export function rawMember(json: string, name: string): string | undefined {
  let found: string | undefined
  let at = skipSpace(json, json.indexOf('{') + 1)
  while (json[at] === '"') {
    const keyEnd = endOfString(json, at)
    const key = JSON.parse(json.slice(at, keyEnd)) as string
    const valueStart = skipSpace(json, skipSpace(json, keyEnd) + 1)
    const valueEnd = endOfValue(json, valueStart)
    if (key === name) found = json.slice(valueStart, valueEnd)
    at = skipSpace(json, valueEnd)
    if (json[at] === ',') at = skipSpace(json, at + 1)
  }
  return found
}

/** The raw texts of an array member's elements, in order. */
export function rawElements(json: string, name: string): string[] {
  const array = rawMember(json, name)
  return array?.startsWith('[') ? arrayElements(array) : []
}

/** The raw texts of the elements of a text that is an array, in order. */
export function arrayElements(array: string): string[] {
  const elements: string[] = []
  let at = skipSpace(array, array.indexOf('[') + 1)
  while (at < array.length && array[at] !== ']') {
    const end = endOfValue(array, at)
    elements.push(array.slice(at, end))
    at = skipSpace(array, end)
    if (array[at] === ',') at = skipSpace(array, at + 1)
  }
  return elements
}

/** True when arrays and objects of a valid JSON text stand deeper in each other than `limit`. */
export function nestsDeeperThan(json: string, limit: number): boolean {
  // Each level takes two characters, so most texts need not be walked.
  if (json.length < 2 * limit) return false
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at) - 1
    else if (character === '[' || character === '{') depth++
    else if (character === ']' || character === '}') depth--
    if (depth > limit) return true
  }
  return false
}

const SPACE = new Set([' ', '\t', '\n', '\r'])

function skipSpace(json: string, from: number): number {
  let at = from
  while (SPACE.has(json[at] as string)) at++
  return at
}

function endOfString(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfValue(json: string, start: number): number {
  const first = json[start]
  if (first === '"') return endOfString(json, start)
  if (first !== '{' && first !== '[') {
    let at = start
    while (at < json.length && !/[,\]}\s]/.test(json[at] as string)) at++
    return at
  }
  let depth = 0
  let at = start
  do {
    const character = json[at]
    if (character === '"') {
      at = endOfString(json, at)
      continue
    }
    if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    at++
  } while (depth > 0)
  return at
}
