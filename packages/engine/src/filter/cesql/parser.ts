import { ATTRIBUTE_NAME, ATTRIBUTE_NAMES } from '@millrace/contracts'
import { type CesqlFunction, findFunction } from './functions.ts'
import { type LikePattern, likePattern } from './like-pattern.ts'
import { CesqlSyntaxError, type Token, tokenize } from './tokens.ts'
import { MAX_INTEGER, type Value } from './values.ts'

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='
export type Arithmetic = '+' | '-' | '*' | '/' | '%'
export type Logic = 'AND' | 'OR' | 'XOR'

export type Node =
  | { readonly kind: 'literal'; readonly value: Value }
  | { readonly kind: 'attribute'; readonly name: string }
  | { readonly kind: 'exists'; readonly name: string }
  | { readonly kind: 'not' | 'minus'; readonly operand: Node }
  | { readonly kind: 'logic'; readonly operator: Logic; readonly left: Node; readonly right: Node }
  | { readonly kind: 'comparison'; readonly operator: Comparison; readonly left: Node; readonly right: Node }
  | { readonly kind: 'arithmetic'; readonly operator: Arithmetic; readonly left: Node; readonly right: Node }
  | { readonly kind: 'like'; readonly operand: Node; readonly pattern: LikePattern; readonly negated: boolean }
  | { readonly kind: 'in'; readonly operand: Node; readonly set: readonly Node[]; readonly negated: boolean }
  | { readonly kind: 'call'; readonly callee: CesqlFunction; readonly args: readonly Node[] }

/**
 * How tightly binary operators bind; the larger the tighter, equal ones from left to right. Unary `NOT` and `-` bind
 * tighter than all of them, so `NOT a = b` is `(NOT a) = b`: the standard has it so.
 */
const BINDING: Readonly<Record<string, number>> = {
  OR: 1,
  XOR: 1,
  AND: 2,
  '=': 3,
  '!=': 3,
  '<>': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
}
const KEYWORDS = new Set(['AND', 'OR', 'XOR', 'NOT', 'LIKE', 'IN', 'EXISTS', 'TRUE', 'FALSE'])
/** A filter is written by people; nobody nests this deep, and recursion must have an end. */
const MAX_DEPTH = 100

/**
 * Operators of one kind stand in each other from left to right, and computing goes into them one by one: an end of the
 * words is an end of that as well.
 */
const MAX_TOKENS = 1000

/** Read a CESQL expression. Throws CesqlSyntaxError, which says where. */
export function parseCesql(expression: string): Node {
  const tokens = tokenize(expression)
  const beyond = tokens[MAX_TOKENS]
  if (beyond) throw new CesqlSyntaxError(`has more than ${MAX_TOKENS} words and signs`, beyond.position)
  const parser = new Parser(tokens)
  return parser.whole()
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  whole(): Node {
    const node = this.#expression(0)
    if (this.#token.kind !== 'end') throw this.#unexpected('an operator or the end')
    return node
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token
  }

  #expression(binding: number): Node {
    if (++this.#depth > MAX_DEPTH) throw new CesqlSyntaxError('nests too deep', this.#token.position)
    let left = this.#postfix(this.#unary())
    for (;;) {
      const operator = this.#operator()
      const tightness = BINDING[operator] ?? 0
      if (tightness <= binding) break
      this.#at++
      left = binary(operator, left, this.#expression(tightness))
    }
    this.#depth--
    return left
  }

  /** `LIKE` and `IN` bind tighter than any binary operator. */
  #postfix(first: Node): Node {
    let operand = first
    for (;;) {
      const negated = this.#keyword(0) === 'NOT'
      const word = this.#keyword(negated ? 1 : 0)
      if (word !== 'LIKE' && word !== 'IN') return operand
      this.#at += negated ? 2 : 1
      operand = word === 'LIKE' ? this.#like(operand, negated) : this.#in(operand, negated)
    }
  }

  #like(operand: Node, negated: boolean): Node {
    const { kind, text } = this.#token
    if (kind !== 'string') throw this.#unexpected('a string with the pattern')
    this.#at++
    return { kind: 'like', operand, pattern: likePattern(text), negated }
  }

  #in(operand: Node, negated: boolean): Node {
    this.#sign('(')
    const set = this.#list()
    if (set.length === 0) throw this.#unexpected('a value')
    return { kind: 'in', operand, set, negated }
  }

  /** Expressions up to a closing bracket. */
  #list(): Node[] {
    const items: Node[] = []
    if (this.#token.text === ')' && this.#token.kind === 'sign') {
      this.#at++
      return items
    }
    for (;;) {
      items.push(this.#expression(0))
      if (this.#token.kind === 'sign' && this.#token.text === ',') this.#at++
      else break
    }
    this.#sign(')')
    return items
  }

  #unary(): Node {
    const token = this.#token
    if (this.#keyword(0) === 'NOT') {
      this.#at++
      return { kind: 'not', operand: this.#deeper() }
    }
    if (token.kind === 'sign' && (token.text === '-' || token.text === '+')) {
      this.#at++
      if (this.#token.kind === 'integer') return this.#integer(token.text === '-' ? -1 : 1)
      if (token.text === '-') return { kind: 'minus', operand: this.#deeper() }
      throw this.#unexpected('a number')
    }
    return this.#atom()
  }

  #deeper(): Node {
    if (++this.#depth > MAX_DEPTH) throw new CesqlSyntaxError('nests too deep', this.#token.position)
    const operand = this.#unary()
    this.#depth--
    return operand
  }

  #atom(): Node {
    const token = this.#token
    if (token.kind === 'integer') return this.#integer(1)
    if (token.kind === 'string') {
      this.#at++
      return { kind: 'literal', value: token.text }
    }
    if (token.kind === 'sign' && token.text === '(') {
      this.#at++
      const node = this.#expression(0)
      this.#sign(')')
      return node
    }
    if (token.kind === 'word') return this.#word(token)
    throw this.#unexpected('a value')
  }

  #integer(sign: 1 | -1): Node {
    const token = this.#token
    const value = sign * Number(token.text) + 0
    if (value > MAX_INTEGER) throw new CesqlSyntaxError(`${token.text} does not fit into 32 bits`, token.position)
    this.#at++
    return { kind: 'literal', value }
  }

  #word(token: Token): Node {
    const word = token.text.toUpperCase()
    if (word === 'TRUE' || word === 'FALSE') {
      this.#at++
      return { kind: 'literal', value: word === 'TRUE' }
    }
    if (word === 'EXISTS') {
      this.#at++
      const name = this.#attribute()
      return { kind: 'exists', name }
    }
    if (KEYWORDS.has(word)) throw this.#unexpected('a value')
    const next = this.#tokens[this.#at + 1] as Token
    if (next.kind === 'sign' && next.text === '(') return this.#call(token)
    return { kind: 'attribute', name: this.#attribute() }
  }

  #call(token: Token): Node {
    this.#at += 2
    const args = this.#list()
    const callee = findFunction(token.text, args.length)
    if ('call' in callee) return { kind: 'call', callee, args }
    const why =
      callee.known.length > 0
        ? `there is no function ${token.text}; there are ${callee.known.join(', ')}`
        : `${token.text.toUpperCase()} does not take ${args.length} arguments`
    throw new CesqlSyntaxError(why, token.position)
  }

  #attribute(): string {
    const { kind, text, position } = this.#token
    if (kind !== 'word' && kind !== 'integer') throw this.#unexpected('the name of an attribute')
    if (KEYWORDS.has(text.toUpperCase())) throw this.#unexpected('the name of an attribute')
    if (!ATTRIBUTE_NAME.test(text))
      throw new CesqlSyntaxError(`"${text}" is no attribute: names are ${ATTRIBUTE_NAMES}`, position)
    if (text === 'data') throw new CesqlSyntaxError('data is no attribute: filters see the attributes only', position)
    this.#at++
    return text
  }

  #sign(text: string): void {
    if (this.#token.kind !== 'sign' || this.#token.text !== text) throw this.#unexpected(`"${text}"`)
    this.#at++
  }

  #keyword(ahead: number): string | undefined {
    const token = this.#tokens[this.#at + ahead]
    return token?.kind === 'word' ? token.text.toUpperCase() : undefined
  }

  #operator(): string {
    const { kind, text } = this.#token
    if (kind === 'sign') return text
    return kind === 'word' ? text.toUpperCase() : ''
  }

  #unexpected(expected: string): CesqlSyntaxError {
    const { kind, text, position } = this.#token
    const got = kind === 'end' ? 'the end' : kind === 'string' ? 'a string' : `"${text}"`
    return new CesqlSyntaxError(`expected ${expected}, got ${got}`, position)
  }
}

function binary(operator: string, left: Node, right: Node): Node {
  if (operator === 'AND' || operator === 'OR' || operator === 'XOR') return { kind: 'logic', operator, left, right }
  if ('+-*/%'.includes(operator)) return { kind: 'arithmetic', operator: operator as Arithmetic, left, right }
  return { kind: 'comparison', operator: (operator === '<>' ? '!=' : operator) as Comparison, left, right }
}
