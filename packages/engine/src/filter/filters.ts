import { ATTRIBUTE_NAME, ATTRIBUTE_NAMES, type FieldError } from '@millrace/contracts'
import { type Attributes, attributeOf, evaluateCesql } from './cesql/evaluate.ts'
import { parseCesql } from './cesql/parser.ts'
import { CesqlSyntaxError } from './cesql/tokens.ts'

/** Whether an event passes. */
export type Matches = (attributes: Attributes) => boolean

export type CompiledFilters =
  | { readonly kind: 'compiled'; readonly matches: Matches }
  | { readonly kind: 'refused'; readonly mistakes: readonly FieldError[] }

/** The dialects of the CloudEvents Subscriptions API. */
export const FILTER_DIALECTS = ['exact', 'prefix', 'suffix', 'all', 'any', 'not', 'sql'] as const
type Dialect = (typeof FILTER_DIALECTS)[number]

/** Filters stand in manifests that people write; more of them than this is a mistake. */
const MAX_FILTERS = 200
const MAX_DEPTH = 10

/**
 * Compile a list of filters: an event must pass every one of them. All mistakes are named, each with a JSON pointer from
 * the list; a mistake in an expression also says at which of its characters.
 */
export function compileFilters(filters: unknown): CompiledFilters {
  const compiler = new Compiler()
  const matches = compiler.list(filters, '', 'every')
  if (compiler.mistakes.length > 0) return { kind: 'refused', mistakes: compiler.mistakes }
  return { kind: 'compiled', matches }
}

const NOTHING: Matches = () => false

class Compiler {
  readonly mistakes: FieldError[] = []
  #count = 0
  #depth = 0

  list(filters: unknown, pointer: string, quantifier: 'every' | 'some'): Matches {
    if (!Array.isArray(filters)) return this.#refuse(pointer, 'must be a list of filters')
    const parts = filters.map((filter, index) => this.#filter(filter, `${pointer}/${index}`))
    return (event) => parts[quantifier]((part) => part(event))
  }

  #filter(filter: unknown, pointer: string): Matches {
    if (++this.#count > MAX_FILTERS) return this.#refuse(pointer, `is one of more than ${MAX_FILTERS} filters`)
    if (this.#depth > MAX_DEPTH) return this.#refuse(pointer, `nests deeper than ${MAX_DEPTH} filters`)
    const entries = isRecord(filter) ? Object.entries(filter) : []
    const [entry] = entries
    if (!entry || entries.length > 1)
      return this.#refuse(pointer, `must be an object with one dialect: ${FILTER_DIALECTS.join(', ')}`)
    const [dialect, value] = entry
    if (!(FILTER_DIALECTS as readonly string[]).includes(dialect)) {
      const hint =
        dialect === 'cesql' ? 'CloudEvents SQL is called "sql" here' : `known are ${FILTER_DIALECTS.join(', ')}`
      return this.#refuse(`${pointer}/${dialect}`, `is not a known dialect; ${hint}`)
    }
    this.#depth++
    const matches = this.#dialect(dialect as Dialect, value, `${pointer}/${dialect}`)
    this.#depth--
    return matches
  }

  #dialect(dialect: Dialect, value: unknown, pointer: string): Matches {
    switch (dialect) {
      case 'exact':
        return this.#attributes(value, pointer, (text, wanted) => text === wanted)
      case 'prefix':
        return this.#attributes(value, pointer, (text, wanted) => text.startsWith(wanted))
      case 'suffix':
        return this.#attributes(value, pointer, (text, wanted) => text.endsWith(wanted))
      case 'all':
      case 'any': {
        if (Array.isArray(value) && value.length === 0) return this.#refuse(pointer, 'must hold at least one filter')
        return this.list(value, pointer, dialect === 'all' ? 'every' : 'some')
      }
      case 'not': {
        const matches = this.#filter(value, pointer)
        return (event) => !matches(event)
      }
      case 'sql':
        return this.#sql(value, pointer)
      default:
        return dialect satisfies never
    }
  }

  #attributes(value: unknown, pointer: string, compare: (text: string, wanted: string) => boolean): Matches {
    const wanted = isRecord(value) ? Object.entries(value) : []
    if (wanted.length === 0)
      return this.#refuse(pointer, 'must be an object of attributes and their values, such as {type: order.paid}')
    for (const [name, text] of wanted) {
      if (!ATTRIBUTE_NAME.test(name) || name === 'data')
        this.#refuse(
          `${pointer}/${name}`,
          `is no attribute of a CloudEvent: names are ${ATTRIBUTE_NAMES}, and not data`,
        )
      if (typeof text !== 'string' || text === '')
        this.#refuse(`${pointer}/${name}`, 'must be a string that is not empty')
    }
    return (event) =>
      wanted.every(([name, text]) => {
        const attribute = attributeOf(event, name)
        return attribute !== undefined && compare(String(attribute), text as string)
      })
  }

  #sql(expression: unknown, pointer: string): Matches {
    if (typeof expression !== 'string')
      return this.#refuse(pointer, 'must be a CloudEvents SQL expression, as a string')
    try {
      const node = parseCesql(expression)
      return (event) => {
        const { value, faults } = evaluateCesql(node, event)
        return value === true && faults.length === 0
      }
    } catch (error) {
      if (!(error instanceof CesqlSyntaxError)) throw error
      return this.#refuse(pointer, `is not CloudEvents SQL: ${error.message}`)
    }
  }

  #refuse(pointer: string, detail: string): Matches {
    this.mistakes.push({ pointer, detail })
    return NOTHING
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
