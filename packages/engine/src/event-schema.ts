import type { FieldError } from '@millrace/contracts'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { type FormatName, formatNames } from 'ajv-formats/dist/formats.js'
import { createLinearPatterns, PatternBudgetError } from './linear-patterns.ts'

type Schema = boolean | Record<string, unknown>

/** Data that does not fit its schema; empty when it fits. */
export type CheckData = (data: unknown) => FieldError[]

/** A long list of wrong items is told by its first ones: the answer must not be larger than the event. */
const MAX_MISTAKES = 20

/**
 * All but `url`, which is not of JSON Schema (`uri` is) and whose pattern takes a time that grows with the square of the
 * text: 0.3 s for 16 KiB. The others were tried with 128 KiB of what is hard for them, and took less than 30 ms.
 */
const FORMATS: FormatName[] = formatNames.filter((name) => name !== 'url')

/**
 * A compiled JSON Schema (2020-12) of an event's data. Unknown keywords are refused, so that a misspelt one does not let
 * everything through. A schema may not refer to others by an address: nothing is fetched. Patterns are matched in linear time,
 * because the schema is a service's and the data a producer's, and neither may hold up the process of all.
 *
 * @throws Error when the schema is none.
 */
export function compileSchema(schema: unknown): CheckData {
  const patterns = createLinearPatterns()
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    code: { regExp: patterns.engine },
  })
  addFormats.default(ajv, FORMATS)
  // Ajv goes by anchors, but does not have the word among those that it knows.
  ajv.addKeyword('$anchor')
  const validate: ValidateFunction = ajv.compile(schema as Schema)
  return (data) => {
    try {
      if (patterns.within(() => validate(data))) return []
    } catch (error) {
      if (!(error instanceof PatternBudgetError)) throw error
      return [{ pointer: '/data', detail: 'is too long to be compared with the patterns of its schema' }]
    }
    return (validate.errors ?? []).slice(0, MAX_MISTAKES).map(({ instancePath, message, params }) => {
      const extra = 'additionalProperty' in params ? ` (${params.additionalProperty})` : ''
      return { pointer: `/data${instancePath}`, detail: `${message}${extra}` }
    })
  }
}

/** What is wrong with a schema, undefined when it can be used, or when there is none. */
export function faultOfSchema(schema: unknown): string | undefined {
  if (schema === undefined) return undefined
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    return 'must be a JSON Schema: an object, true or false'
  try {
    compileSchema(schema)
    return undefined
  } catch (error) {
    return `is not a JSON Schema that can be used: ${(error as Error).message}`
  }
}
