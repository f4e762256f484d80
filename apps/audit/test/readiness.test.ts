import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditApp, postgresServer, type Rig, startRig } from './support.ts'

let rig: Rig
let app: AuditApp
beforeAll(async () => {
  rig = await startRig({ database: 'PostgreSQL' })
  app = await rig.startAudit()
})
afterAll(() => rig.stop())

const becomes = (status: number) =>
  eventually(
    async () => {
      const answer = await app.get<{ problems?: Record<string, string> }>('/readyz')
      return answer.status === status && answer.body
    },
    { timeoutMs: 40_000 },
  )

describe('/readyz', () => {
  it('says that Redis does not answer, while its connections stay open', async () => {
    await becomes(200)
    process.kill(rig.redis.pid, 'SIGSTOP')
    try {
      const { problems } = await becomes(503)
      expect(Object.keys(problems ?? {})).toContain('redis')
      expect((await app.get('/livez')).status).toBe(200)
    } finally {
      process.kill(rig.redis.pid, 'SIGCONT')
    }
    await becomes(200)
  })

  it('says that the database is down', async () => {
    await becomes(200)
    const postgres = await postgresServer()
    await postgres.kill()
    const { problems } = await becomes(503)
    expect(Object.keys(problems ?? {})).toContain('store')
    expect((await app.get('/livez')).status).toBe(200)
    await postgres.restart()
    await becomes(200)
  })
})
