import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
// @boundaries-ignore the scripts run before anything is installed, so they are no workspace to import by name
import { auditVerdict } from '../../scripts/audit-verdict.mjs'

const top = new URL('../../', import.meta.url)
const ADVISORY = {
  ...{ id: 1, url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc', title: 'Reads too much', severity: 'high' },
  ...{ vulnerable_versions: '*', cwe: [], cvss: { score: 0, vectorString: null } },
}

// A registry that answers what the test says, asked by npm itself.
let registry: Server
let url: string
let asked: Record<string, string[]>
let answer: { status: number; body: unknown }

beforeAll(async () => {
  registry = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const isQuestion = request.url === '/-/npm/v1/security/advisories/bulk'
    if (isQuestion) asked = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString())
    response.writeHead(isQuestion ? answer.status : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isQuestion ? answer.body : {}))
  })
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`
})
afterAll(() => new Promise((resolve) => registry.close(resolve)))
beforeEach(() => {
  asked = {}
})

function npmAudit(from = url): Promise<{ code: number; output: string }> {
  const env = { ...process.env, npm_config_registry: from, npm_config_fetch_retries: '0' }
  return new Promise((resolve) => {
    execFile(process.execPath, [fileURLToPath(new URL('scripts/audit.mjs', top))], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
    )
  })
}

describe('npm run audit', () => {
  it('asks about every package of production, and about no other', async () => {
    answer = { status: 200, body: {} }
    expect(await npmAudit()).toEqual({ code: 0, output: expect.stringMatching(/^\d+ production packages: 0 weak/) })
    expect(Object.keys(asked)).toEqual(expect.arrayContaining(['fastify', 'ioredis', 'jose', 'pg', 'undici', 'zod']))
    expect(asked).not.toHaveProperty('vitest')
  })

  it('names what is found', async () => {
    answer = { status: 200, body: { fastify: [ADVISORY] } }
    const { code, output } = await npmAudit()
    expect([code, output]).toEqual([1, expect.stringContaining('high  fastify *  Reads too much\n')])
    expect(output).toMatch(/: 1 weaknesses, 0 more explained/)
  })

  it.each([
    ['does not take the question', () => ({ status: 405, body: {} }), /^No answer.*405/],
    ['is in trouble', () => ({ status: 503, body: { error: 'busy' } }), /^No answer.*503/],
  ])('says that it knows nothing when the registry %s', async (_, given, says) => {
    answer = given()
    expect(await npmAudit()).toEqual({ code: 2, output: expect.stringMatching(says) })
  })

  it('says that it knows nothing when there is no registry', async () => {
    expect(await npmAudit('http://127.0.0.1:9/')).toEqual({ code: 2, output: expect.stringMatching(/^No answer.*127/) })
  })
})

describe('what npm said', () => {
  const report = JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: {
      ms: { via: [{ ...ADVISORY, name: 'ms', range: '<2' }] },
      debug: { via: ['ms'] },
    },
    metadata: { dependencies: { prod: 185 } },
  })
  const id = 'GHSA-aaaa-bbbb-cccc'

  it('is found, or explained, by the id of the advisory, once for all who need the package', () => {
    expect(auditVerdict(report, {})).toMatchObject({ findings: [{ id, name: 'ms', range: '<2' }], explained: [] })
    expect(auditVerdict(report, { [id]: 'not called' })).toMatchObject({ findings: [], explained: [{ id }], stale: [] })
  })

  it('shows an explanation that nothing is left of', () => {
    expect(auditVerdict(report, { [id]: 'x', 'GHSA-dddd': 'y' })).toMatchObject({ stale: ['GHSA-dddd'] })
  })

  it.each([
    ['', 'npm printed nothing'],
    ['npm error code ENOLOCK\nmore', 'npm error code ENOLOCK'],
    ['{"error":{"summary":"no lockfile"}}', 'no lockfile'],
    ['{}', '{}'],
  ])('is no answer when it is no report: %s', (output, reason) => {
    expect(auditVerdict(output, {})).toEqual({ kind: 'no answer', reason })
  })
})

describe('the packages of production', () => {
  interface Locked {
    readonly dev?: boolean
    readonly link?: boolean
    readonly integrity?: string
    readonly hasInstallScript?: boolean
    readonly deprecated?: string
    readonly license?: string
  }
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', top), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const production = Object.entries(packages).filter(
    ([path, { dev, link }]) => path.includes('node_modules/') && !dev && !link,
  )
  const those = (is: (locked: Locked) => boolean) => production.filter(([, locked]) => is(locked)).map(([path]) => path)

  it('have a hash each, run nothing when they are installed, and were given up by nobody', () => {
    expect(production.length).toBeGreaterThan(100)
    expect(those(({ integrity }) => integrity === undefined)).toEqual([])
    expect(those(({ hasInstallScript }) => hasInstallScript === true)).toEqual([])
    expect(those(({ deprecated }) => deprecated !== undefined)).toEqual([])
  })

  it('may be passed on with what is built of them', () => {
    const free = ['MIT', 'ISC', 'BSD-3-Clause', 'Apache-2.0']
    expect(those(({ license = 'none' }) => !free.includes(license))).toEqual([])
  })
})
