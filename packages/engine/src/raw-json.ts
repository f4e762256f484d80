import { endOfString } from '@millrace/contracts'

/**
 * The text of one member of a JSON object, exactly as it was written, or undefined when the object has no such member.
 * The text must be valid JSON (parse it first): this only walks it. The last of several members of one name counts, as
 * JSON.parse has it.
 *
 * Why not parse and stringify: numbers beyond 2^53, duplicate keys, escapes and key order would not survive.
 */
export function rawMember(json: string, name: string): string | undefined {
  let found: string | undefined
  eachMember(json, name, (start) => {
    const end = endOfValue(json, start)
    found = json.slice(start, end)
    return end
  })
  return found
}

/** The raw texts of an array member's elements, in order; none where the member is missing or no array. */
export function rawElements(json: string, name: string): string[] {
  let elements: string[] = []
  eachMember(json, name, (start) => {
    elements = []
    return json.charCodeAt(start) === OPEN_BRACKET ? walkElements(json, start, elements) : endOfValue(json, start)
  })
  return elements
}

/** The raw texts of the elements of a text that is an array, in order. */
export function arrayElements(array: string): string[] {
  const elements: string[] = []
  const start = array.indexOf('[')
  if (start >= 0) walkElements(array, start, elements)
  return elements
}

/** The names of an object's members, in their order, each as often as it stands there. */
export function memberNames(json: string): string[] {
  const names: string[] = []
  let at = skipSpace(json, json.indexOf('{') + 1)
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(json, at)
    names.push(JSON.parse(json.slice(at, keyEnd)) as string)
    at = skipSpace(json, endOfValue(json, skipSpace(json, skipSpace(json, keyEnd) + 1)))
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
  return names
}

/** Walk an object, and have every member of that name walked by the caller, who answers where its value ends. */
function eachMember(json: string, name: string, walk: (start: number) => number): void {
  let at = skipSpace(json, json.indexOf('{') + 1)
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(json, at)
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1)
    at = skipSpace(json, isName(json, { at, keyEnd, name }) ? walk(start) : endOfValue(json, start))
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
}

/** Whether the key that begins here says that name; one with escapes may say it in another spelling. */
function isName(json: string, { at, keyEnd, name }: { at: number; keyEnd: number; name: string }): boolean {
  const key = json.slice(at + 1, keyEnd - 1)
  return key === name || (key.includes('\\') && JSON.parse(`"${key}"`) === name)
}

function walkElements(json: string, start: number, elements: string[]): number {
  let at = skipSpace(json, start + 1)
  while (at < json.length && json.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(json, at)
    elements.push(json.slice(at, end))
    at = skipSpace(json, end)
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
  return at + 1
}

// Character codes, because a bulk request is walked once per job: comparing one-character strings took twice as long.
const [QUOTE, COMMA] = [34, 44]
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [91, 93, 123, 125]

function skipSpace(json: string, from: number): number {
  let at = from
  for (let code = json.charCodeAt(at); code === 32 || (code >= 9 && code <= 13); code = json.charCodeAt(++at));
  return at
}

function endOfValue(json: string, start: number): number {
  const first = json.charCodeAt(start)
  if (first === QUOTE) return endOfString(json, start)
  return first === OPEN_BRACE || first === OPEN_BRACKET ? endOfNested(json, start) : endOfWord(json, start)
}

/** The end of a number, `true`, `false` or `null`. */
function endOfWord(json: string, start: number): number {
  let at = start
  while (at < json.length && !/[,\]}\s]/.test(json[at] as string)) at++
  return at
}

function endOfNested(json: string, start: number): number {
  let depth = 0
  let at = start
  do {
    const character = json.charCodeAt(at)
    if (character === QUOTE) {
      at = endOfString(json, at)
      continue
    }
    if (character === OPEN_BRACE || character === OPEN_BRACKET) depth++
    else if (character === CLOSE_BRACE || character === CLOSE_BRACKET) depth--
    at++
  } while (depth > 0)
  return at
}
