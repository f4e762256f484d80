import { type ChildHandle, freePort, startProcess } from '@millrace/testkit'
import { type Client, createClient, MASTER_KEY } from './fixture.ts'

export interface DispatcherProcess {
  readonly process: ChildHandle
  readonly client: Client
}

export const MAIN = new URL('../src/main.ts', import.meta.url)

/** A dispatcher as a process of its own, to be killed, stopped and restarted. */
export async function startDispatcherProcess(
  redisUrl: string,
  { port, ...env }: { port?: number; [variable: string]: string | number | undefined } = {},
): Promise<DispatcherProcess> {
  const listening = port ?? (await freePort())
  const process = await startProcess({
    file: MAIN,
    env: {
      REDIS_URL: redisUrl,
      MILLRACE_DISPATCHER_PORT: String(listening),
      MILLRACE_LEASE_MS: '600',
      MILLRACE_MASTER_KEY: MASTER_KEY,
      ...(env as Record<string, string>),
    },
    readyWhen: /dispatcher\.ready/,
  })
  return { process, client: createClient(`http://127.0.0.1:${listening}`) }
}
