import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'

it('needs nothing: the platform on its default ports, and this repository', () => {
  const config = readConfig({})
  expect(config).toMatchObject({
    port: 7410,
    queueUrl: 'http://127.0.0.1:7401',
    septorUrl: 'http://127.0.0.1:7403',
    namespace: 'dependency-audit',
  })
  expect(JSON.parse(readFileSync(config.lockfile, 'utf8'))).toMatchObject({ name: 'millrace-monorepo' })
})

it('names every variable that cannot be used', () => {
  const env = { PORT: '70000', IEC_QUEUE_URL: 'localhost:7401', SEPTOR_URL: 'http://' }
  expect(() => readConfig(env)).toThrow(/PORT.*\nIEC_QUEUE_URL.*\nSEPTOR_URL/)
})
