import { ProblemError, toPointer } from '@millrace/contracts'
import type { FastifyInstance, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whatever stands behind the question mark is passed over. */
    readonly takesAnyQuery?: boolean
  }
}

/**
 * Refuse what a route does not take in its query, on every route of an app: a route without a schema of its query takes
 * nothing. Passed over in silence, `?dryRun=true` of somebody who only wants to look would change what they look at.
 *
 * It does not rely on the schemas being strict, because a route without one is never validated.
 */
export function refuseUnknownQuery(server: FastifyInstance): void {
  // After the guard has let the request in, before anything else is said about it.
  server.addHook('preValidation', (request, _reply, done) => {
    const members = Object.keys(request.query as object)
    // Most requests have none, and asking for the route's options costs more than that.
    done(members.length === 0 ? undefined : refusalOf(members, request))
  })
}

function refusalOf(members: readonly string[], { routeOptions }: FastifyRequest): ProblemError | undefined {
  if (routeOptions.url === undefined || routeOptions.config.takesAnyQuery) return undefined
  const known = membersOf(routeOptions.schema?.querystring)
  const unknown = members.filter((member) => !known.includes(member))
  if (unknown.length === 0) return undefined
  const takes = known.length > 0 ? `this route takes ${known.join(', ')}` : 'this route takes none'
  const errors = unknown.map((member) => ({
    pointer: toPointer([member]),
    detail: `is not a known query member; ${takes}`,
  }))
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  const message = `The querystring: ${errors[0]?.pointer} ${errors[0]?.detail}${more}.`
  return new ProblemError('request.invalid', message, { errors })
}

function membersOf(schema: unknown): readonly string[] {
  return Object.keys((schema as { shape?: object } | undefined)?.shape ?? {})
}
