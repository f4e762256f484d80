import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeadLetter } from '@millrace/contracts'
import { connect, whenReady } from '@millrace/streams'
import {
  type Certificate,
  type CertificateAuthority,
  type ChildHandle,
  createCertificateAuthority,
  eventually,
  freePort,
  type PostgresServer,
  type Receiver,
  type RedisServer,
  startPostgres,
  startProcess,
  startReceiver,
  startRedis,
  withBy,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, type Place, runCommand, startUp } from './platform.ts'

/** Ours, and one that nobody was told of. */
let authority: CertificateAuthority
let stranger: CertificateAuthority
let redis: RedisServer
let tlsPort: number
/** A cluster of one. */
let node: { redis: RedisServer; tlsPort: number }
let postgres: PostgresServer
let service: Receiver
let place: Place

/** For servers that are `localhost`: `127.0.0.1` is another host, which the certificate does not name. */
beforeAll(async () => {
  ;[authority, stranger] = [createCertificateAuthority(), createCertificateAuthority()]
  const certificate = authority.issue('localhost')
  ;[place, service, postgres, { redis, tlsPort }, node] = await Promise.all([
    findPlace(),
    startReceiver({ certificate }),
    startPostgres({}, { certificate }),
    startEncryptedRedis(),
    startEncryptedCluster(),
  ])
})
afterAll(async () => {
  await place?.remove()
  await Promise.all([service?.stop(), postgres?.stop(), redis?.stop(), node?.redis.stop()])
  authority?.remove()
  stranger?.remove()
})

const trust = () => ({ NODE_EXTRA_CA_CERTS: authority.caFile })
const databaseUrl = (host: string, query: string) => postgres.networkUrl('postgres', host, query)

/** It speaks TLS on one port, and on another one, which is the test's, plain text. */
async function startEncryptedRedis(more: Record<string, string> = {}) {
  const { certFile, keyFile } = authority.issue('localhost')
  const port = await freePort()
  const settings = {
    'tls-port': String(port),
    'tls-cert-file': certFile,
    'tls-key-file': keyFile,
    'tls-ca-cert-file': authority.caFile,
    'tls-auth-clients': 'no',
  }
  return { redis: await startRedis({ settings: { ...settings, ...more } }), tlsPort: port }
}

async function startEncryptedCluster() {
  const started = await startEncryptedRedis({
    ...{ 'cluster-enabled': 'yes', 'tls-cluster': 'yes' },
    // Its own choice would be among the ports that outgoing connections have, and each further try would meet the same one.
    'cluster-port': String(await freePort()),
    ...{ 'cluster-announce-hostname': 'localhost', 'cluster-preferred-endpoint-type': 'hostname' },
  })
  const client = started.redis.client()
  await client.cluster('ADDSLOTSRANGE', 0, 16_383)
  await eventually(async () => expect(await client.cluster('INFO')).toContain('cluster_state:ok'))
  return started
}

const ownAddress = /laddr=\S*:(\d+) .*name=millrace-/
/** The ports of Redis that Millrace is connected to. */
async function portsInUse(server: RedisServer): Promise<Set<number>> {
  const clients = String(await server.client().client('LIST')).split('\n')
  return new Set(clients.flatMap((line) => (ownAddress.test(line) ? Number(ownAddress.exec(line)?.[1]) : [])))
}

interface AppEnv {
  readonly [variable: string]: string | undefined
}
const fileOf = (app: string) => new URL(`../../apps/${app}/src/main.ts`, import.meta.url)
const environment = (app: string, env: AppEnv) => ({
  ...{ MILLRACE_HOME: place.home, [`MILLRACE_${app.toUpperCase()}_PORT`]: '0' },
  ...env,
})
const startApp = (app: string, env: AppEnv, readyWhen: RegExp) =>
  startProcess({ file: fileOf(app), env: environment(app, env), readyWhen })

/** What an app that does not start tells whoever started it, besides its log. */
async function refusal(app: string, env: AppEnv): Promise<string> {
  const child = await startProcess({ file: fileOf(app), env: environment(app, env) })
  expect((await child.exited).code, child.output()).toBe(1)
  const told = child.lines().filter((line) => !line.startsWith('{'))
  expect(told, child.output()).toHaveLength(1)
  return told[0] ?? ''
}

const call = async <Body>(method: string, path: string, body?: object): Promise<Body> => {
  const answer = await fetch(place.urls.dispatcher + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(withBy(method, path, body)) }),
  })
  const text = await answer.text()
  expect(answer.ok, text).toBe(true)
  return JSON.parse(text) as Body
}
const apply = (namespace: string, url: string, fields: object) =>
  call('PUT', `/services/${namespace}`, {
    url,
    manifest: {
      metadata: { name: namespace },
      spec: { queues: [{ name: 'mail', endpoint: '/internal/mail', ...fields }] },
    },
  })
const enqueue = async (namespace: string) =>
  (await call<{ id: string }>('POST', '/jobs', { namespace, queue: 'mail', data: {} })).id

const UNTRUSTED =
  /(self-signed certificate in certificate chain|unable to verify the first certificate).* NODE_EXTRA_CA_CERTS=<file/
const OTHER_HOST = /does not match certificate's altnames.*Name the host in the URL as its certificate does/

describe('a platform that trusts the authority', () => {
  let platform: ChildHandle
  beforeAll(async () => {
    Object.assign(place.env, trust(), {
      REDIS_URL: `rediss://localhost:${tlsPort}`,
      DATABASE_URL: databaseUrl('localhost', 'sslmode=verify-full'),
    })
    platform = await startUp(place)
  })
  afterAll(() => platform?.stop())

  it('delivers over TLS, and speaks it with Redis and PostgreSQL on every connection', async () => {
    await apply('shop', service.url, {})
    const id = await enqueue('shop')
    await service.waitFor('/internal/mail', 1)
    const recorded = async () => (await fetch(`${place.urls.audit}/v1/jobs/${id}`)).json()
    await eventually(async () => expect(await recorded()).toMatchObject({ state: 'succeeded' }))
    expect(await portsInUse(redis)).toEqual(new Set([tlsPort]))
    const encrypted = `SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
      WHERE application_name = 'millrace-audit'`
    expect(postgres.sql('postgres', encrypted)).toBe('t|t\n')
  })

  it('is looked over by the doctor, who says what is wrong with a certificate', async () => {
    const findings = async (env: Place['env']) =>
      (JSON.parse((await runCommand({ ...place, env }, 'doctor', '--json')).stdout) as { findings: object[] }).findings
    const [well, refused] = await Promise.all([
      findings(place.env),
      findings({ ...place.env, NODE_EXTRA_CA_CERTS: '' }),
    ])
    expect(well).toContainEqual(expect.objectContaining({ check: 'redis.version', state: 'ok' }))
    expect(refused).toContainEqual({
      ...{ check: 'redis', state: 'fail' },
      says: expect.stringMatching(/certificate of Redis was refused: self-signed certificate in certificate chain/),
      fix: expect.stringMatching(/NODE_EXTRA_CA_CERTS=/),
    })
  })

  it('is not reached by a command that does not trust its proxy, which says what to do', async () => {
    const env = { ...place.env, NODE_EXTRA_CA_CERTS: '' }
    const { code, output } = await runCommand({ ...place, env }, 'keys', 'list', '--url', service.url)
    expect([code, output]).toEqual([1, expect.stringMatching(/UNABLE_TO_VERIFY.* NODE_EXTRA_CA_CERTS=<file/)])
  })

  it.each([
    [
      'that nobody trusts',
      () => startReceiver({ certificate: stranger.issue('localhost') }),
      /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
      'localhost',
    ],
    ['of another host', async () => service, /ERR_TLS_CERT_ALTNAME_INVALID/, '127.0.0.1'],
  ])('has failed attempts at a service with a certificate %s, and tries again', async (_, start, error, host) => {
    const away = await start()
    const namespace = `at-${host.replaceAll('.', '-')}`
    const seen = away.requests().length
    await apply(namespace, away.url.replace('localhost', host), { retries: 1, retryDelayMs: 100 })
    const id = await enqueue(namespace)
    const path = `/dead-letters?namespace=${namespace}`
    const letter = await eventually(async () => (await call<{ deadLetters: DeadLetter[] }>('GET', path)).deadLetters[0])
    expect(letter).toMatchObject({
      ...{ id, reason: 'tls', attempts: 2 },
      lastResponse: { error: expect.stringMatching(error) },
    })
    expect(away.requests()).toHaveLength(seen)
    if (away !== service) await away.stop()
  })

  it('goes on when Redis had a wrong certificate for a while, and says so meanwhile', async () => {
    const admin = redis.client()
    const install = async ({ certFile, keyFile }: Certificate) => {
      await admin.config('SET', 'tls-cert-file', certFile, 'tls-key-file', keyFile)
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    const readiness = async () => (await fetch(`${place.urls.dispatcher}/readyz`)).status
    await install(stranger.issue('localhost'))
    await eventually(async () => (await readiness()) === 503)
    const log = () => readFileSync(join(place.home, 'logs', 'dispatcher.log'), 'utf8')
    await eventually(() => /"redis.connection_error".*unable to verify.*"fix":"[^"]*NODE_EXTRA_CA_CERTS=/.test(log()))
    await install(authority.issue('localhost'))
    await eventually(async () => (await readiness()) === 200)
    const seen = service.requests('/internal/mail').length
    await enqueue('shop')
    await service.waitFor('/internal/mail', seen + 1)
  })
})

describe('an app that refuses to start says what to do', () => {
  it('about a certificate of Redis, soon', async () => {
    const untrusted = { REDIS_URL: `rediss://localhost:${tlsPort}` }
    const otherHost = { ...trust(), REDIS_URL: `rediss://127.0.0.1:${tlsPort}` }
    const apps = ['dispatcher', 'scheduler', 'audit']
    const said = await Promise.all([...apps.map((app) => refusal(app, untrusted)), refusal('scheduler', otherHost)])
    expect(said).toEqual([...apps.map(() => UNTRUSTED), OTHER_HOST].map((text) => expect.stringMatching(text)))
    // Not after the ten seconds that a Redis has to start.
    expect(said.filter((text) => text.includes('did not answer within'))).toEqual([])
  })

  it('about a certificate of PostgreSQL, also where only encryption was asked for', async () => {
    const ownCa = `sslmode=verify-full&sslrootcert=${authority.caFile}`
    const urls = [
      databaseUrl('localhost', 'sslmode=verify-full'),
      databaseUrl('localhost', 'sslmode=require'),
      databaseUrl('127.0.0.1', ownCa),
    ]
    const said = urls.map((url) => refusal('audit', { REDIS_URL: redis.url, DATABASE_URL: url }))
    const env = { REDIS_URL: redis.url, DATABASE_URL: databaseUrl('localhost', ownCa) }
    // The authority of PostgreSQL alone may stand in its URL.
    const started = await startApp('audit', env, /service\.listening/)
    expect(await Promise.all(said)).toEqual(
      [UNTRUSTED, UNTRUSTED, OTHER_HOST].map((text) => expect.stringMatching(text)),
    )
    await started.kill()
  })
})

it('a cluster is spoken to over TLS by the names that its nodes announce', async () => {
  const env = { ...trust(), REDIS_URL: `rediss+cluster://localhost:${node.tlsPort}`, MILLRACE_PARTITIONS: '2' }
  const dispatcher = await startApp('dispatcher', env, /dispatcher\.ready/)
  expect(await portsInUse(node.redis)).toEqual(new Set([node.tlsPort]))
  await dispatcher.kill()
  expect(await refusal('dispatcher', { ...env, NODE_EXTRA_CA_CERTS: '' })).toMatch(UNTRUSTED)
})

it.each([
  ['plain text to a port for TLS', () => `redis://localhost:${tlsPort}`],
  ['TLS to a port for plain text', () => redis.url.replace('redis:', 'rediss:')],
])('who speaks %s is asked whether the URL is right', async (_, url) => {
  const client = connect({ url: url(), role: 'test' })
  const waiting = whenReady(client, { timeoutMs: 500 })
  await expect(waiting).rejects.toThrow(/did not answer within 500 ms.*rediss:\/\/ where its port speaks TLS/)
  client.disconnect()
})
