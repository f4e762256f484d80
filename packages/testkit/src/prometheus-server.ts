import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diesWithUs } from './dies-with-us.ts'
import { eventually } from './eventually.ts'
import { findProgram } from './find-program.ts'
import { freePort } from './free-port.ts'

const ADVICE =
  'Prometheus (with promtool) is not on PATH, and the tests need a real one. ' +
  'Install it: `sudo apt-get install -y prometheus` (Debian, Ubuntu), `brew install prometheus` (macOS).'

const READY_TIMEOUT_MS = 60_000

/** One series of an instant query, with its value at that moment. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A Prometheus of the test's own, on a port of 127.0.0.1, with its data in a folder that goes with it. */
export interface PrometheusServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** `data` of an answer of its API, such as `/api/v1/targets`. @throws Error with what it answered instead */
  get<Data>(path: string): Promise<Data>
  /** What an expression gives now. @throws Error with Prometheus's own words when it cannot be parsed */
  query(expr: string): Promise<PrometheusSample[]>
  stop(): Promise<void>
}

/**
 * Starts a real Prometheus with this configuration, exemplars included, and resolves when it is ready.
 *
 * @param config the text of prometheus.yml; rule files by their full paths
 * @throws Error naming the install command when it is not on PATH
 */
export async function startPrometheus({ config }: { config: string }): Promise<PrometheusServer> {
  const binary = findProgram(['prometheus'], ADVICE)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-prometheus-'))
  const file = join(folder, 'prometheus.yml')
  await writeFile(file, config)
  const url = `http://127.0.0.1:${await freePort()}`
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${new URL(url).host}`,
    '--enable-feature=exemplar-storage',
    '--log.level=warn',
  ]
  const { child, output } = run(binary, args)
  diesWithUs(child, { folder })
  const stop = async () => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await eventually(async () => child.exitCode !== null || (await isReady(url)), {
      timeoutMs: READY_TIMEOUT_MS,
      what: 'Prometheus to be ready',
    })
    if (child.exitCode !== null) throw new Error(`prometheus ended before it was ready. Its output:\n${output()}`)
  } catch (error) {
    await stop()
    throw error
  }
  const get = <Data>(path: string) => getData<Data>(`${url}${path}`)
  return {
    url,
    get,
    async query(expr) {
      const { result } = await get<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
        `/api/v1/query?query=${encodeURIComponent(expr)}`,
      )
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
    stop,
  }
}

/** Runs promtool to its end. Exit code 0 is what it says of files that are right. */
export async function promtool(
  args: readonly string[],
  { input = '' }: { input?: string } = {},
): Promise<{ code: number | null; output: string }> {
  const { child, output } = run(findProgram(['promtool'], ADVICE), args)
  diesWithUs(child)
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, output: output() }
}

function run(binary: string, args: readonly string[]): { child: ChildProcess; output: () => string } {
  const child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return { child, output: () => output }
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/-/ready`).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status === 200
}

async function getData<Data>(url: string): Promise<Data> {
  const response = await fetch(url)
  const answer = (await response.json()) as { status: string; data: Data; error?: string }
  if (answer.status !== 'success') throw new Error(`Prometheus answered ${response.status}: ${answer.error}`)
  return answer.data
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await exited
}
