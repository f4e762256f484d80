import { type ChildProcess, fork } from 'node:child_process'

/** A process of a measurement, spoken to over its channel. */
export function startChild(file: string, args: readonly string[] = []): ChildProcess {
  return fork(new URL(`./processes/${file}`, import.meta.url), [...args])
}

export function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a process of the measurement ended with code ${code}`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      resolve(message as T)
    })
  })
}

export function ask<T>(child: ChildProcess, message: string): Promise<T> {
  const answer = nextMessage<T>(child)
  child.send(message)
  return answer
}
