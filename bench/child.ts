import { fork } from 'node:child_process'

/** A process of a measurement, spoken to over its channel. */
export interface Child {
  readonly pid: number
  /** Ask for something that its file answers (processes/answers.ts). */
  ask<T>(name: string, argument?: unknown): Promise<T>
  stop(): Promise<void>
}

interface Reply {
  readonly id: number
  readonly answer?: unknown
  readonly error?: string
}

/** Start a file of processes/. A process that ends by itself ends the whole run: there is nothing left to measure. */
export function startChild(file: string): Child {
  const child = fork(new URL(`./processes/${file}`, import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
  let asked = 0
  let stopping = false
  child.on('message', (message) => {
    const { id, answer, error } = message as Reply
    if (error === undefined) waiting.get(id)?.resolve(answer)
    else waiting.get(id)?.reject(new Error(`${file}: ${error}`))
    waiting.delete(id)
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      resolve()
      if (!stopping) fail(`${file} ended with code ${code}`)
    })
  })
  return {
    pid: child.pid ?? 0,
    ask: <T>(name: string, argument?: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = ++asked
        waiting.set(id, { resolve: (answer) => resolve(answer as T), reject })
        child.send({ id, name, argument })
      }),
    stop() {
      stopping = true
      child.kill('SIGKILL')
      return exited
    },
  }
}

/** End the run with a message; what it started ends with it. */
export function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
