const QUOTE = 34
const BACKSLASH = 92
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [91, 93, 123, 125]

/** True when arrays and objects of a valid JSON text stand deeper in each other than `limit`. */
export function nestsDeeperThan(json: string, limit: number): boolean {
  // Each level takes two characters, so most texts need not be walked.
  if (json.length < 2 * limit) return false
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at)
    if (character === QUOTE) at = endOfString(json, at) - 1
    else if (character === OPEN_BRACKET || character === OPEN_BRACE) depth++
    else if (character === CLOSE_BRACKET || character === CLOSE_BRACE) depth--
    if (depth > limit) return true
  }
  return false
}

/** Where the string of a valid JSON text ends whose opening quote is at `start`: the place behind its closing quote. */
export function endOfString(json: string, start: number): number {
  let at = json.indexOf('"', start + 1)
  while (isEscaped(json, at)) at = json.indexOf('"', at + 1)
  return at + 1
}

/** A quote behind an odd number of backslashes belongs to the string. */
function isEscaped(json: string, quote: number): boolean {
  let first = quote
  while (json.charCodeAt(first - 1) === BACKSLASH) first--
  return (quote - first) % 2 === 1
}
