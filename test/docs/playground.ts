import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPlace, type Place, startUp } from '../e2e/platform.ts'

/** A reader's folder beside a running platform: what a page tells her to write and to run goes here. */
export interface Playground {
  readonly place: Place
  write(path: string, text: string): void
  /** Runs a shell block to its end. Rejects, with its output, when a command of it fails. */
  run(script: string, env?: Readonly<Record<string, string>>): Promise<string>
  /** Starts a shell block that leaves something running; `output` grows. It ends with the playground. */
  start(script: string): { output(): string }
  stop(): Promise<void>
}

const CURL = fileURLToPath(new URL('./curl.mjs', import.meta.url))
const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

/**
 * `servicePort` takes the place of 3000, at which the pages let a service listen; the platform's ports and data folder
 * take that of the usual ones. Nothing else of a block is changed.
 */
export async function openPlayground({
  servicePort,
  env: more = {},
}: {
  servicePort: number
  env?: Readonly<Record<string, string>>
}): Promise<Playground> {
  const found = await findPlace()
  const place = { ...found, env: { ...found.env, ...more } }
  const platform = await startUp(place)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  // The pages are written for the top of the repository, where npx finds `millrace`.
  symlinkSync(NODE_MODULES, join(folder, 'node_modules'))
  const path = [installCurl(folder), process.env.PATH].join(delimiter)
  const shells: ChildProcess[] = []
  const { urls, home } = place
  const adapt = (text: string) =>
    text
      .replaceAll('http://127.0.0.1:7401', urls.dispatcher)
      .replaceAll('http://127.0.0.1:7402', urls.scheduler)
      .replaceAll('http://127.0.0.1:7403', urls.audit)
      .replaceAll(/\b3000\b/g, String(servicePort))
      .replaceAll('.millrace/', `${home}/`)

  const shell = (script: string, env: Readonly<Record<string, string>> = {}) => {
    const child = spawn('bash', ['-e', '-c', adapt(script)], {
      cwd: folder,
      env: { ...process.env, ...place.env, ...env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
      // In a group of its own, so that what it leaves running can be ended with it.
      detached: true,
    })
    shells.push(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    return { child, output: () => output }
  }

  return {
    place,
    write(file, text) {
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), adapt(text))
    },
    start: (script) => shell(script),
    async run(script, env) {
      const { child, output } = shell(script, env)
      const code = await new Promise((resolve) => child.once('close', resolve))
      if (code !== 0) throw new Error(`This ended with ${code}:\n${script}\n${output()}`)
      return output()
    },
    async stop() {
      for (const { pid } of shells) if (pid !== undefined) endGroup(pid)
      await platform.stop()
      await place.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A machine that runs the tests need not have curl. This one also fails at an answer that is no success. */
function installCurl(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'curl'), `#!/bin/sh\nexec "${process.execPath}" "${CURL}" "$@"\n`)
  chmodSync(join(bin, 'curl'), 0o755)
  return bin
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Everything in it has ended.
  }
}
