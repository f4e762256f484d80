import specs from '@asyncapi/specs'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'

let compiled: ValidateFunction | undefined

/** Compiled at its first use: most tests need none of it. */
function validator(): ValidateFunction {
  if (compiled) return compiled
  const ajv = new Ajv({ strict: false, allErrors: true })
  addFormats.default(ajv)
  compiled = ajv.compile(specs.schemasWithoutId['3.0.0'] as object)
  return compiled
}

/** What is wrong with an AsyncAPI 3.0 document: by the JSON Schema of the specification, and references that lead nowhere. */
export function asyncApiFaults(document: unknown): string[] {
  const validate = validator()
  const valid = validate(document)
  const faults = valid ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
  return [...faults, ...brokenReferences(document, document)]
}

function brokenReferences(value: unknown, document: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    if (name !== '$ref' || typeof inner !== 'string') return brokenReferences(inner, document)
    return followReference(inner, document) === undefined ? [`${inner} leads nowhere`] : []
  })
}

/** What a reference within a document leads to. */
export function followReference(ref: string, document: unknown): unknown {
  if (!ref.startsWith('#')) return undefined
  const parts = ref.slice(1).split('/').slice(1)
  return parts.reduce<unknown>((inner, part) => {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    return (inner as Record<string, unknown> | undefined)?.[name]
  }, document)
}
