import { readFile } from 'node:fs/promises'

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

/** What of a .cpuprofile file is read here: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

type Lines = readonly [name: string, microsPerJob: string][]

const SHOWN_FUNCTIONS = 30

/** Self time per job, from the first sample in the sender on, so that starting up is not in it. Idle time is left out. */
export async function readProfile(file: string, jobs: number): Promise<{ byOrigin: Lines; byFunction: Lines }> {
  const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, 'utf8')) as CpuProfile
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const first = samples.findIndex((id) => frames.get(id)?.url.endsWith('/sender.ts'))
  const origins = new Map<string, number>()
  const functions = new Map<string, number>()
  samples.forEach((id, index) => {
    const frame = frames.get(id)
    if (!frame || index < first || frame.functionName === '(idle)') return
    const micros = timeDeltas[index] ?? 0
    add(origins, originOf(frame), micros)
    add(functions, nameOf(frame), micros)
  })
  return { byOrigin: linesOf(origins, jobs), byFunction: linesOf(functions, jobs).slice(0, SHOWN_FUNCTIONS) }
}

function add(times: Map<string, number>, name: string, micros: number): void {
  times.set(name, (times.get(name) ?? 0) + micros)
}

function linesOf(times: Map<string, number>, jobs: number): [string, string][] {
  return [...times].sort((a, b) => b[1] - a[1]).map(([name, micros]) => [name, (micros / jobs).toFixed(2)])
}

/** The package that a function belongs to; `node` for Node's own, and V8's words for what is no function: (garbage collector). */
function originOf({ url, functionName }: CallFrame): string {
  if (url.startsWith('node:')) return 'node'
  if (url === '') return functionName.startsWith('(') ? functionName : 'node'
  const [, name] =
    /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? /\/((?:apps|packages)\/[^/]+)\//.exec(url) ?? []
  return name ?? url
}

function nameOf(frame: CallFrame): string {
  const { functionName, url, lineNumber } = frame
  if (url === '') return functionName
  return `${functionName || '(anonymous)'} ${originOf(frame)} ${url.slice(url.lastIndexOf('/') + 1)}:${lineNumber + 1}`
}
