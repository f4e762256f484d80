import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProcess } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const BENCH = new URL('../../bench/run.ts', import.meta.url)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-bench-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; output: string }> {
  const bench = await startProcess({ file: BENCH, args })
  const { code } = await bench.exited
  return { code, stdout: bench.stdout(), output: bench.output() }
}

/** Of two turns of each side, the better of ours beside its neighbour. */
function upperOf(ours: readonly number[], peer: readonly number[]): number {
  expect([ours.length, peer.length]).toEqual([2, 2])
  return Math.max(...ours.map((rate, turn) => rate / (peer[turn] as number)))
}

describe('npm run bench', () => {
  it('prints and writes a row for each comparison: both sides, ratio, target, processor time', async () => {
    const out = join(folder, 'results.json')
    const { code, stdout, output } = await run('intake', 'memory', '--quick', '--appendfsync', 'everysec', '--out', out)
    expect(code, output).toBe(0)
    const { quick, results } = JSON.parse(readFileSync(out, 'utf8'))
    expect(quick).toBe(true)
    expect(results.map((row: { measure: string }) => row.measure)).toEqual(['intake', 'intake', 'memory', 'memory'])
    for (const { what, appendfsync, measure, ours, peer, ratio } of results) {
      expect(appendfsync).toBe('everysec')
      expect(ratio).toBe(measure === 'intake' ? upperOf(ours.turns, peer.turns) : ours.value / peer.value)
      expect(stdout).toContain(`| ${what} |`)
    }
    const [intake, kept, memory] = results
    expect(intake).toMatchObject({ target: { atLeast: 0.6 }, met: intake.ratio >= 0.6, peerName: 'bare fastify' })
    expect(kept).toMatchObject({ peerName: 'bare fastify, an XADD each' })
    expect(memory).toMatchObject({ target: { atMost: 1 / 6, words: '1/6' }, met: memory.ratio <= 1 / 6 })
    expect(stdout).toContain('| at least 0.6 |')
    expect(stdout).toContain('| at most 1/6 |')
  })

  it('teaches with --help, and says what there is when a measure is unknown', async () => {
    const help = await run('--help')
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('BENCH_SOAK_JOBS')
    const unknown = await run('pusch')
    expect(unknown.code).toBe(1)
    expect(unknown.output).toMatch(/There is no measure pusch\. There are: push, pull, enqueue, /)
  })
})
