import { type DeclaredEvent, type FieldError, ProblemError } from '@millrace/contracts'
import { type CheckData, compileSchema } from '@millrace/engine'
import type { RegistryView } from '@millrace/streams'

export interface SchemaChecks {
  /** The service that declares a type, when exactly one does. */
  ownerOf(type: string): string | undefined
  /** Throws ProblemError when an event does not fit; what is only to be warned of comes back. */
  check(event: { namespace: string; type: string; json: string; pointer: string }): FieldError[]
}

interface Declared {
  readonly declared: DeclaredEvent
  readonly checkData: CheckData | undefined
}

/** What services declare of the events that they publish, compiled once per version of a service. */
export function createSchemaChecks(registry: RegistryView): SchemaChecks {
  const byNamespace = new Map<string, ReadonlyMap<string, Declared>>()
  const ofService = (namespace: string) => {
    const known = byNamespace.get(namespace)
    if (known) return known
    const service = registry.service(namespace)
    // Namespaces that no service has are whatever clients write: nothing is kept of them.
    if (!service) return undefined
    const { events = [] } = service
    const compiled = new Map(events.map((declared) => [declared.type, { declared, checkData: compile(declared) }]))
    byNamespace.set(namespace, compiled)
    return compiled
  }
  let owners: Map<string, string | undefined> | undefined
  registry.onChange((namespace) => {
    byNamespace.delete(namespace)
    owners = undefined
  })
  const allOwners = () => {
    const found = new Map<string, string | undefined>()
    for (const { namespace, events = [] } of registry.services()) {
      for (const { type } of events) found.set(type, found.has(type) ? undefined : namespace)
    }
    return found
  }

  return {
    ownerOf(type) {
      owners ??= allOwners()
      return owners.get(type)
    },
    check({ namespace, type, json, pointer }) {
      const { declared, checkData } = ofService(namespace)?.get(type) ?? {}
      if (!checkData) return []
      const mistakes = mistakesOf(JSON.parse(json) as Content, checkData).map((mistake) => ({
        ...mistake,
        pointer: `${pointer}${mistake.pointer}`,
      }))
      if (mistakes.length === 0 || declared?.onMismatch === 'warn') return mistakes
      const [first] = mistakes
      throw new ProblemError(
        'event.schema_mismatch',
        `${first?.pointer} ${first?.detail}: that is not what ${namespace} declares ${type} to be.`,
        { errors: mistakes },
      )
    },
  }
}

interface Content {
  readonly data?: unknown
  readonly data_base64?: unknown
}

function mistakesOf({ data, data_base64 }: Content, checkData: CheckData): FieldError[] {
  if (typeof data_base64 !== 'string') return checkData(data)
  return [{ pointer: '/data_base64', detail: 'is binary, and the schema of its type is of JSON data' }]
}

/** A schema that an earlier version took and this one does not is a mismatch of its own events, not a failure of all. */
function compile({ schema }: DeclaredEvent): CheckData | undefined {
  if (schema === undefined) return undefined
  try {
    return compileSchema(schema)
  } catch (error) {
    const detail = `cannot be compared with its schema: ${(error as Error).message}`
    return () => [{ pointer: '/data', detail }]
  }
}
