import { randomBytes } from 'node:crypto'
import {
  namespaceSchema,
  ProblemError,
  parseSubscriptionId,
  problemSchema,
  type Service,
  type SubscriptionRequest,
  type SubscriptionView,
  subscriptionEndSchema,
  subscriptionId,
  subscriptionRequestSchema,
  subscriptionViewSchema,
  wholePageSchema,
} from '@millrace/contracts'
import { type AppServer, type ListOrder, pageOf } from '@millrace/runtime'
import { type By, declaredQueues } from '@millrace/streams'
import { z } from 'zod'
import { findService } from '../intake/find-queue.ts'
import type { TargetCheck } from '../targets/target-check.ts'
import { toDefinition, toView } from './subscription-object.ts'
import { createSubscriptionStore, findSubscription, type SubscriptionStoreDeps } from './subscription-store.ts'

const params = z.object({ id: z.string().max(150).describe('<namespace>.<name>') })
const refusals = { 404: problemSchema, 409: problemSchema, 422: problemSchema }

const BY_NAME: ListOrder<SubscriptionView> = { list: 'subscriptions', keyOf: ({ id }) => [id] }

/** `/subscriptions`, as the CloudEvents Subscriptions API shapes it. */
export function addSubscriptionRoutes(
  server: AppServer,
  { targetCheck, ...deps }: SubscriptionStoreDeps & { readonly targetCheck: TargetCheck },
): void {
  const store = createSubscriptionStore(deps)
  const definitionOf = async (
    request: SubscriptionRequest,
    { namespace, name }: { namespace: string; name: string },
  ) => {
    const definition = toDefinition(request, name)
    if (definition.sink !== undefined) await targetCheck.check(definition.sink, { namespace, pointer: '/sink' })
    return definition
  }

  server.get(
    '/subscriptions',
    {
      schema: {
        summary: 'Subscriptions by id, those of manifests included',
        description: `The answer is an array, as the Subscriptions API has it; while there is more, its header \`link\` has the
address of the next page, with \`rel="next"\`.`,
        querystring: wholePageSchema.extend({ namespace: namespaceSchema.optional() }),
        response: { 200: z.array(subscriptionViewSchema), 404: problemSchema, 422: problemSchema },
      },
    },
    async (request, reply) => {
      const { namespace, ...asked } = request.query
      const services =
        namespace === undefined ? deps.registry.services() : [await findService(deps.registry, namespace)]
      const { items, cursor } = pageOf(services.flatMap(viewsOf), BY_NAME, asked)
      if (cursor !== undefined) {
        const next = new URLSearchParams({ ...(namespace && { namespace }), limit: String(asked.limit), cursor })
        // Relative to the address that was asked, so that it also leads on through a proxy that has a path of its own.
        reply.header('link', `<?${next}>; rel="next"`)
      }
      return items
    },
  )

  server.post(
    '/subscriptions',
    {
      schema: {
        summary: 'Make a subscription',
        body: subscriptionRequestSchema,
        response: { 201: subscriptionViewSchema, ...refusals },
      },
    },
    async (request, reply) => {
      const { namespace, name = `api-${randomBytes(4).toString('hex')}` } = request.body.config
      if (request.body.id !== undefined) checkId(request.body, subscriptionId(namespace, name))
      const service = await store.put(namespace, await definitionOf(request.body, { namespace, name }), {
        change: 'make',
        by: byOf(request.body),
      })
      const view = viewOf(service, name)
      return reply.status(201).header('location', `/subscriptions/${view.id}`).send(view)
    },
  )

  server.get(
    '/subscriptions/:id',
    { schema: { summary: 'One subscription', params, response: { 200: subscriptionViewSchema, 404: problemSchema } } },
    async (request) => {
      const { service, definition } = await findSubscription(deps.registry, request.params.id)
      return viewOf(service, definition.name)
    },
  )

  server.put(
    '/subscriptions/:id',
    {
      schema: {
        summary: 'Change a subscription that was made here; it goes on from where it is',
        params,
        body: subscriptionRequestSchema,
        response: { 200: subscriptionViewSchema, ...refusals },
      },
    },
    async (request) => {
      const { definition } = await findSubscription(deps.registry, request.params.id)
      const { namespace, name } = { name: definition.name, ...request.body.config }
      checkId({ ...request.body, id: request.body.id ?? request.params.id }, subscriptionId(namespace, name))
      const service = await store.put(namespace, await definitionOf(request.body, { namespace, name }), {
        change: 'change',
        by: byOf(request.body),
      })
      return viewOf(service, name)
    },
  )

  server.delete(
    '/subscriptions/:id',
    {
      schema: {
        summary: 'End a subscription that was made here; what waits in its queue is still delivered',
        params,
        body: subscriptionEndSchema,
        response: { 204: z.null(), ...refusals },
      },
    },
    async (request, reply) => {
      const { namespace, name } = parseSubscriptionId(request.params.id) ?? { namespace: '', name: '' }
      await findSubscription(deps.registry, request.params.id)
      await store.remove(namespace, name, request.body)
      return reply.status(204).send(null)
    },
  )
}

function viewsOf(service: Service): SubscriptionView[] {
  return declaredQueues(service).flatMap((definition) => toView(service, definition) ?? [])
}

function viewOf(service: Service, name: string): SubscriptionView {
  return viewsOf(service).find(({ config }) => config.name === name) as SubscriptionView
}

function byOf({ who, why }: SubscriptionRequest): By {
  return { who, ...(why !== undefined && { why }) }
}

function checkId({ id }: Pick<SubscriptionRequest, 'id'>, expected: string): void {
  if (id === expected) return
  const detail = `must be "${expected}", as namespace and name say, or be left out`
  throw new ProblemError('request.invalid', `id ${detail}.`, { errors: [{ pointer: '/id', detail }] })
}
