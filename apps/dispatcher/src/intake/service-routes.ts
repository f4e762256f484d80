import {
  applyRequestSchema,
  applyResponseSchema,
  namespaceSchema,
  nextPageSchema,
  ProblemError,
  problemSchema,
  type QueueDefinition,
  serviceSchema,
  wholePageSchema,
} from '@millrace/contracts'
import { type ApplyDecision, type Declaration, decideApply, endedBy, parseManifest } from '@millrace/engine'
import { type AppServer, type Clock, pageOf } from '@millrace/runtime'
import {
  changeService,
  declaredQueues,
  logEnds,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import { z } from 'zod'
import type { ViewSource } from '../router/view-source.ts'
import type { TargetCheck } from '../targets/target-check.ts'
import { findService } from './find-queue.ts'

export interface ServiceDeps {
  readonly registry: RegistryView
  readonly registryPartition: Partition
  readonly partitions: Partitions
  readonly clock: Clock
  readonly views: ViewSource
  readonly targetCheck: TargetCheck
  readonly urlTemplate?: string
}

/** `PUT /services/{namespace}`, `GET /services`, `GET /services/{namespace}`. */
export function addServiceRoutes(server: AppServer, deps: ServiceDeps): void {
  const params = z.object({ namespace: namespaceSchema })

  server.put(
    '/services/:namespace',
    {
      schema: {
        summary: "Apply a service's manifest",
        params,
        body: applyRequestSchema,
        response: { 200: applyResponseSchema, 422: problemSchema },
      },
    },
    async (request) => {
      const parsed = parseManifest(request.body.manifest)
      if (parsed.kind === 'refused') {
        const [first] = parsed.mistakes
        const place = first?.line ? `line ${first.line}, ${first.pointer || 'file'}` : first?.pointer
        throw new ProblemError(
          'manifest.invalid',
          `${place} ${first?.detail}${parsed.mistakes.length > 1 ? ` (and ${parsed.mistakes.length - 1} more)` : ''}.`,
          { errors: parsed.mistakes },
        )
      }
      const { declaration, warnings } = parsed
      if (declaration.namespace !== request.params.namespace) {
        throw new ProblemError(
          'manifest.invalid',
          `The manifest is of "${declaration.namespace}" and the address says "${request.params.namespace}".`,
          {
            errors: [{ pointer: '/metadata/name', detail: `expected "${request.params.namespace}"` }],
          },
        )
      }
      const { kind: result, service } = await apply(deps, declaration, request.body)
      await deps.registry.refresh()
      // Once this is answered, nothing more is matched as it was before, nor goes into a subscription that was taken out.
      if ([...declaredQueues(service), ...service.closing].some(({ kind }) => kind === 'subscription'))
        await deps.views.current(deps.registry.revision())
      const names = (kind: string) =>
        declaredQueues(service)
          .filter((queue) => queue.kind === kind)
          .map((queue) => queue.name)
      const { namespace, url, version } = service
      return {
        namespace,
        url,
        version,
        result,
        queues: names('queue'),
        schedules: names('schedule'),
        subscriptions: names('subscription'),
        closing: service.closing.map((queue) => queue.name),
        warnings,
      }
    },
  )

  server.get(
    '/services',
    {
      schema: {
        summary: 'Registered services, by name',
        querystring: wholePageSchema,
        response: { 200: z.object({ services: z.array(serviceSchema), ...nextPageSchema }), 422: problemSchema },
      },
    },
    async (request) => {
      const { items, ...next } = pageOf(
        deps.registry.services(),
        { list: 'services', keyOf: ({ namespace }) => [namespace] },
        request.query,
      )
      return { services: items, ...next }
    },
  )

  server.get(
    '/services/:namespace',
    { schema: { summary: 'One service', params, response: { 200: serviceSchema, 404: problemSchema } } },
    async (request) => findService(deps.registry, request.params.namespace),
  )
}

interface ApplyOptions {
  readonly url?: string | undefined
  readonly who: string
  readonly why?: string | undefined
}

async function apply(
  deps: ServiceDeps,
  declaration: Declaration,
  { url, who, why }: ApplyOptions,
): Promise<ApplyDecision> {
  const { namespace } = declaration
  const asked = url ?? deps.urlTemplate?.replaceAll('{namespace}', namespace)
  const checked = asked === undefined ? undefined : await checkUrl(asked, namespace, deps.targetCheck)
  // Read before the service is changed: what is published from then on is for its new subscriptions.
  const ends = await logEnds([...deps.partitions.all, deps.registryPartition])
  return changeService(deps.registryPartition, namespace, (current) => {
    const target = checked ?? current?.url
    if (target === undefined) throw noUrl(namespace)
    const at = new Date(deps.clock.now()).toISOString()
    const decision = decideApply({ current, declaration, url: target, who, at, ends })
    if (decision.kind === 'unchanged') return decision
    const { service } = decision
    if (why === undefined) refuseToEnd(endedBy(current, service))
    const event = {
      version: service.version,
      url: service.url,
      who,
      ...(why !== undefined && { why }),
      queues: declaredQueues(service).map(({ kind, name }) => `${kind}:${name}`),
    }
    return { ...decision, event }
  })
}

/** To end one through the API needs a reason, so it does here; a first apply and one that only adds or changes end nothing. */
function refuseToEnd(ended: readonly QueueDefinition[]): void {
  if (ended.length === 0) return
  const names = ended.map(({ kind, name }) => `${kind} ${name}`).join(', ')
  const detail = `must say why, for the audit trail: this manifest takes out ${names}`
  throw new ProblemError('request.invalid', `why ${detail}.`, { errors: [{ pointer: '/why', detail }] })
}

function noUrl(namespace: string): ProblemError {
  return new ProblemError(
    'service.no_url',
    `Say where ${namespace} listens: send "url", or set MILLRACE_SERVICE_URL_TEMPLATE.`,
    { errors: [{ pointer: '/url', detail: 'is required at the first apply' }] },
  )
}

async function checkUrl(text: string, namespace: string, { check }: TargetCheck): Promise<string> {
  const url = await check(text, { namespace, pointer: '/url' })
  if (!new URL(url).search) return url
  const detail = 'must not hold a query'
  throw new ProblemError('request.invalid', `url ${detail}.`, { errors: [{ pointer: '/url', detail }] })
}
