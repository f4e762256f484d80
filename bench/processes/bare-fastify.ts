import { fastify } from 'fastify'
import { Redis } from 'ioredis'
import { answerWith } from './answers.ts'

// The limit that an intake on fastify has: the same body parsed and checked by a JSON schema, and an answer of the same shape.
const server = fastify()
const body = {
  type: 'object',
  required: ['namespace', 'queue', 'data'],
  additionalProperties: false,
  properties: { namespace: { type: 'string' }, queue: { type: 'string' }, data: {} },
}
const response = {
  202: { type: 'object', properties: { id: { type: 'string' }, durability: { type: 'string' } } },
}
server.post('/jobs', { schema: { body, response } }, async (_request, reply) =>
  reply.status(202).send({ id: 'job_0193a1b2c3d0000c002', durability: 'memory' }),
)

// The same, and the body in a stream of Redis before it answers: what is the least of a promise to keep a job.
let redis: Redis | undefined
server.post('/kept', { schema: { body, response } }, async (request, reply) => {
  const { data } = request.body as { data: unknown }
  const id = await redis?.xadd('jobs', '*', 'data', JSON.stringify(data))
  return reply.status(202).send({ id, durability: 'memory' })
})
const listening = server.listen({ port: 0, host: '127.0.0.1' })

answerWith({
  url: () => listening,
  keepIn(socketPath: string) {
    redis = new Redis({ path: socketPath })
  },
})
