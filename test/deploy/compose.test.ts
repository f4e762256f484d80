import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { eventually, freePort, startProcess, startRedis } from '@millrace/testkit'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly build?: string
        readonly user?: string
        readonly privileged?: boolean
        readonly read_only?: boolean
        readonly cap_drop?: readonly string[]
        readonly cap_add?: readonly string[]
        readonly security_opt?: readonly string[]
        readonly tmpfs?: readonly string[]
        readonly command?: readonly string[]
        readonly environment?: Readonly<Record<string, string>>
        readonly ports?: readonly string[]
        readonly volumes?: readonly string[]
        readonly healthcheck?: { readonly test: readonly string[] }
      }
    >
  >
  readonly volumes: Readonly<Record<string, unknown>>
}

const APPS = { dispatcher: 7401, scheduler: 7402, audit: 7403 }

const top = new URL('../../', import.meta.url)
const compose = readYaml('docker-compose.yml') as Compose
const isCompose = composeValidator()

describe('docker-compose.yml', () => {
  it('is valid by the schema of the Compose Specification', () => {
    expect(isCompose(compose), JSON.stringify(isCompose.errors)).toBe(true)
  })

  it('would be found invalid with a field that Compose does not know', () => {
    expect(isCompose({ services: { redis: { imagine: 'redis' } } })).toBe(false)
    expect(isCompose.errors).toContainEqual(expect.objectContaining({ instancePath: '/services/redis' }))
  })

  it.each(Object.entries(APPS))(
    'runs %s from its sources, on port %i, and asks it whether it is ready',
    (app, port) => {
      const service = compose.services[app]
      expect(service?.build).toBe('.')
      expect(service?.ports).toEqual([`127.0.0.1:${port}:${port}`])
      expect(service?.environment).toMatchObject({ REDIS_URL: 'redis://redis:6379' })
      expect(service?.healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${port}/readyz`)
      expect(service?.command?.map((file) => [file, existsSync(new URL(file, top))])).toEqual([
        [`apps/${app}/src/main.ts`, true],
      ])
    },
  )

  it('gives Redis the settings without which Millrace would not keep what it accepted', () => {
    const command = compose.services.redis?.command?.join(' ')
    expect(command).toContain('--appendonly yes')
    expect(command).toContain('--appendfsync always')
    expect(command).toContain('--maxmemory-policy noeviction')
  })

  it('publishes no port beyond this machine, and checks the health of everything', () => {
    const services = Object.values(compose.services)
    expect(services.flatMap(({ ports = [] }) => ports).filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    expect(services.filter(({ healthcheck }) => healthcheck === undefined)).toEqual([])
  })

  it.each(Object.entries(compose.services))(
    'confines %s: no root, nothing to write to, no way to more rights',
    (_, service) => {
      expect(service).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        tmpfs: expect.arrayContaining(['/tmp']),
      })
      expect(service.user).toMatch(/^[a-z]+$/)
      expect(service.user).not.toBe('root')
      expect([service.cap_add, service.privileged]).toEqual([undefined, undefined])
      const isStore = (volume: string) => !volume.startsWith('./')
      const mounts = (service.volumes ?? []).filter((volume) => !isStore(volume))
      expect(mounts.filter((mount) => !mount.endsWith(':ro'))).toEqual([])
    },
  )

  it('mounts volumes that are declared and files that exist', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((each) => each.split(':')[0]!),
    )
    const isThere = (source: string) =>
      source.startsWith('./') ? existsSync(new URL(source, top)) : source in compose.volumes
    expect(sources.filter((source) => !isThere(source))).toEqual([])
  })
})

describe('Dockerfile', () => {
  const lines = readFileSync(new URL('Dockerfile', top), 'utf8').split('\n')

  it('ends as a user without rights, and runs no script of a dependency', () => {
    const users = lines.filter((line) => line.startsWith('USER '))
    expect(users).toEqual(['USER node'])
    expect(lines.indexOf('USER node')).toBeGreaterThan(lines.findLastIndex((line) => /^(RUN|COPY) /.test(line)))
    expect(lines.filter((line) => line.includes('npm ci'))).toEqual([
      expect.stringMatching(/--omit=dev --ignore-scripts/),
    ])
  })
})

describe('an app', () => {
  // Reading is allowed; writing, other programs and native code are not.
  const env = { NODE_OPTIONS: '--permission --allow-fs-read=*' }

  it('could not write here if it tried', () => {
    const write = ['--eval', "require('node:fs').writeFileSync('written', '')"]
    const { status, stderr } = spawnSync(process.execPath, write, { env, encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, expect.stringContaining('ERR_ACCESS_DENIED')])
  })

  it.each(['dispatcher', 'scheduler'])(
    '(%s) works without a file system to write to, as Node itself sees to it here',
    async (app) => {
      const redis = await startRedis()
      const port = await freePort()
      const child = await startProcess({
        file: new URL(`apps/${app}/src/main.ts`, top),
        env: {
          REDIS_URL: `unix://${redis.socketPath}`,
          // Else the dispatcher makes one and writes it down.
          MILLRACE_MASTER_KEY: 'a'.repeat(64),
          [`MILLRACE_${app.toUpperCase()}_PORT`]: String(port),
          ...env,
        },
      })
      const ready = () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok)
      await eventually(ready, { timeoutMs: 50_000, what: `${app} to be ready\n${child.output()}` })
      await child.stop()
      await redis.stop()
      expect(child.output()).not.toContain('ERR_ACCESS_DENIED')
    },
  )
})

describe('Prometheus', () => {
  it('asks every app on its port', () => {
    const config = readYaml('deploy/prometheus/prometheus.yml') as {
      scrape_configs: { static_configs: { targets: string[] }[] }[]
    }
    const targets = config.scrape_configs.flatMap((job) => job.static_configs.flatMap((each) => each.targets))
    expect(targets).toEqual(Object.entries(APPS).map(([app, port]) => `${app}:${port}`))
  })

  it('is what Grafana gets as its datasource', () => {
    const config = readYaml('deploy/grafana/provisioning/datasources/prometheus.yml')
    expect(config).toMatchObject({ datasources: [{ type: 'prometheus', url: 'http://prometheus:9090' }] })
  })
})

/** The linter ships the schema of the specification; nothing else on npm keeps up with it. */
function composeValidator() {
  const linter = createRequire(import.meta.url).resolve('dclint/package.json')
  const schema = JSON.parse(readFileSync(linter.replace('package.json', 'schemas/compose.schema.json'), 'utf8'))
  // It names its dialect by an https address, under which Ajv does not know the draft that it reads anyway.
  delete schema.$schema
  return new Ajv({ strict: false, validateFormats: false }).compile(schema)
}

/** With `<<` as Compose reads it. */
function readYaml(path: string): unknown {
  return parse(readFileSync(new URL(path, top), 'utf8'), { merge: true })
}
