import { eventually, freePort } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockOf, codeBlocks, readPage } from './pages.ts'
import { openPlayground, type Playground } from './playground.ts'

const page = readPage('README.md')
let servicePort: number
let playground: Playground

beforeAll(async () => {
  servicePort = await freePort()
  playground = await openPlayground({ servicePort })
}, 90_000)
afterAll(() => playground.stop())

describe('the first example of the README', { timeout: 240_000 }, () => {
  it('publishes and delivers as it stands there, and prints what it says', async () => {
    const files = codeBlocks(page).filter(({ title }) => title?.startsWith('hello/'))
    expect(files.map(({ title }) => title)).toEqual(['hello/catalog-info.yaml', 'hello/worker.mjs'])
    for (const { title, text } of files) playground.write(title as string, text)

    const { output } = playground.start(blockOf(page, 'run').text)
    const promised = plain(blockOf(page, 'output').text)
    // The worker and the command write at the same time, so the lines may come in any order.
    await eventually(() => promised.every((line) => plain(output()).includes(line)), {
      timeoutMs: 60_000,
      what: `the lines ${promised.join(' / ')} in what it printed`,
    }).catch((error) => {
      throw new Error(`${error.message}\n${output()}`)
    })
    expect(plain(output())).toEqual(expect.arrayContaining(promised))
  })

  it('is five lines of YAML and no more than ten of everything else', () => {
    const lines = (title: string) => blockOf(page, title).text.trimEnd().split('\n').length
    expect(lines('hello/catalog-info.yaml')).toBe(5)
    expect(lines('hello/worker.mjs') + lines('run')).toBeLessThanOrEqual(10)
  })
})

/** Lines without what differs from run to run. */
function plain(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/job_[0-9a-f]{19}/g, 'job_…').replaceAll(/:(?:3000|\d{5})\b/g, ':port'))
}
