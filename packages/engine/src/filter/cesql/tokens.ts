import { MAX_INTEGER } from './values.ts'

export interface Token {
  readonly kind: 'word' | 'string' | 'integer' | 'sign' | 'end'
  /** A word as it stands, a string without its quotes, a sign. */
  readonly text: string
  /** Where it begins in the expression, counted from 1, for messages. */
  readonly position: number
}

/** An expression that is not CESQL, and where. */
export class CesqlSyntaxError extends Error {
  readonly position: number

  constructor(message: string, position: number) {
    super(`${message} at position ${position}`)
    this.name = 'CesqlSyntaxError'
    this.position = position
  }
}

const SPACE = /\s+/y
const WORD = /[A-Za-z0-9_]+/y
const SIGN = /<=|>=|<>|!=|[-+*/%=<>(),]/y
const STRING = /'((?:[^'\\]|\\[\s\S])*)'|"((?:[^"\\]|\\[\s\S])*)"/y

/** The words of an expression, closed by an `end`. Throws CesqlSyntaxError. */
export function tokenize(expression: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    return pattern.exec(expression)
  }
  while (at < expression.length) {
    const space = take(SPACE)
    if (space) {
      at += space[0].length
      continue
    }
    const position = at + 1
    const string = take(STRING)
    const word = string ? null : take(WORD)
    const sign = string || word ? null : take(SIGN)
    const found = string ?? word ?? sign
    if (!found) throw unreadable(expression, at)
    if (string) tokens.push({ kind: 'string', text: unquote(string), position })
    else if (word) tokens.push(wordToken(word[0], position))
    else tokens.push({ kind: 'sign', text: found[0], position })
    at += found[0].length
  }
  tokens.push({ kind: 'end', text: 'the end', position: expression.length + 1 })
  return tokens
}

function unreadable(expression: string, at: number): CesqlSyntaxError {
  const character = expression[at] as string
  const quote = character === "'" || character === '"'
  return new CesqlSyntaxError(quote ? 'a string is not closed' : `"${character}" means nothing here`, at + 1)
}

/** Inside quotes only the quote itself is escaped; any other backslash stands for itself, so that LIKE can use it. */
function unquote([quoted, single, double]: RegExpExecArray): string {
  const body = single ?? double ?? ''
  return body.replaceAll(`\\${quoted[0]}`, quoted[0] as string)
}

function wordToken(text: string, position: number): Token {
  if (!/^\d+$/.test(text)) return { kind: 'word', text, position }
  // One more than the largest is allowed behind a minus; the parser looks.
  if (Number(text) > MAX_INTEGER + 1) throw new CesqlSyntaxError(`${text} does not fit into 32 bits`, position)
  return { kind: 'integer', text, position }
}
