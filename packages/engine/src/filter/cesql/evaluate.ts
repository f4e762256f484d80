import type { Arithmetic, Comparison, Logic, Node } from './parser.ts'
import { type CesqlFault, cast, isInteger, type Report, typeOf, type Value, type ValueType, zeroOf } from './values.ts'

/** Attributes of an event, extensions included, by name. */
export type Attributes = Readonly<Record<string, Value | undefined>>

/** An attribute of an event; what every object has, such as `constructor`, is none. */
export function attributeOf(attributes: Attributes, name: string): Value | undefined {
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined
}

export interface Evaluation {
  readonly value: Value
  readonly faults: readonly CesqlFault[]
}

/**
 * Compute an expression over an event. It always has a value: where an operand fails (an attribute that is not there, a
 * cast, a division by 0) the operator gives the zero of its own type, and `faults` says what failed.
 */
export function evaluateCesql(node: Node, attributes: Attributes): Evaluation {
  const faults: CesqlFault[] = []
  const value = new Evaluator(attributes, faults).value(node)
  return { value: value ?? '', faults }
}

class Evaluator {
  readonly #attributes: Attributes
  readonly #report: Report

  readonly #faults: readonly CesqlFault[]

  constructor(attributes: Attributes, faults: CesqlFault[]) {
    this.#attributes = attributes
    this.#faults = faults
    this.#report = (fault) => void faults.push(fault)
  }

  /** Undefined for an attribute that is not there, after it was reported. */
  value(node: Node): Value | undefined {
    switch (node.kind) {
      case 'literal':
        return node.value
      case 'attribute':
        return this.#attribute(node.name)
      case 'exists':
        return attributeOf(this.#attributes, node.name) !== undefined
      case 'not':
        return this.#not(node.operand)
      case 'minus':
        return this.#arithmetic('-', { kind: 'literal', value: 0 }, node.operand)
      case 'logic':
        return this.#logic(node.operator, node.left, node.right)
      case 'comparison':
        return this.#compare(node.operator, node.left, node.right)
      case 'arithmetic':
        return this.#arithmetic(node.operator, node.left, node.right)
      case 'like': {
        const operand = this.value(node.operand)
        return operand === undefined ? false : node.pattern.test(String(operand)) !== node.negated
      }
      case 'in':
        return this.#in(node)
      case 'call':
        return this.#call(node)
      default:
        return node satisfies never
    }
  }

  #attribute(name: string): Value | undefined {
    const value = attributeOf(this.#attributes, name)
    if (value === undefined) this.#report('missing_attribute')
    return value
  }

  #as(node: Node, type: ValueType): Value | undefined {
    const value = this.value(node)
    return value === undefined ? undefined : cast(value, type, this.#report)
  }

  #not(operand: Node): boolean {
    const before = this.#faults.length
    const value = this.#as(operand, 'boolean')
    return this.#faults.length > before ? false : !value
  }

  #logic(operator: Logic, left: Node, right: Node): boolean {
    const first = this.#as(left, 'boolean') ?? false
    if (operator === 'AND' && !first) return false
    if (operator === 'OR' && first) return true
    const second = (this.#as(right, 'boolean') ?? false) as boolean
    return operator === 'XOR' ? first !== second : second
  }

  #compare(operator: Comparison, left: Node, right: Node): boolean {
    const before = this.#faults.length
    const [a, b] = [this.value(left), this.value(right)]
    if (a === undefined || b === undefined) return false
    // Equality is there for every type: the right operand says which. The others know whole numbers only.
    const type = operator === '=' || operator === '!=' ? typeOf(b) : 'integer'
    const [x, y] = [cast(a, type, this.#report), cast(b, type, this.#report)]
    if (this.#faults.length > before) return false
    switch (operator) {
      case '=':
        return x === y
      case '!=':
        return x !== y
      case '<':
        return x < y
      case '<=':
        return x <= y
      case '>':
        return x > y
      case '>=':
        return x >= y
      default:
        return operator satisfies never
    }
  }

  #arithmetic(operator: Arithmetic, left: Node, right: Node): number {
    const [x, y] = [this.#as(left, 'integer'), this.#as(right, 'integer')] as (number | undefined)[]
    if (x === undefined || y === undefined) return 0
    const result = compute(operator, x, y)
    if (isInteger(result)) return result + 0
    this.#report('math')
    return 0
  }

  /** The elements are cast to the type of what is looked for. */
  #in({ operand, set, negated }: Extract<Node, { kind: 'in' }>): boolean {
    const value = this.value(operand)
    if (value === undefined) return false
    const found = set.some((element) => {
      const candidate = this.value(element)
      return candidate !== undefined && cast(candidate, typeOf(value), this.#report) === value
    })
    return found !== negated
  }

  #call({ callee, args }: Extract<Node, { kind: 'call' }>): Value {
    const values = args.map((arg, index) => {
      const type = callee.parameters[index] ?? 'string'
      return type === 'any' ? this.value(arg) : this.#as(arg, type)
    })
    if (values.includes(undefined)) return zeroOf(callee.returns)
    return callee.call(values as Value[], this.#report)
  }
}

/** NaN and Infinity, for a division by 0, are no 32-bit numbers either. */
function compute(operator: Arithmetic, x: number, y: number): number {
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '/':
      return Math.trunc(x / y)
    case '%':
      return x % y
    default:
      return operator satisfies never
  }
}
