import type { Service } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('register')

/** Store a service's new version over `expectedVersion`. `conflict`: somebody else applied meanwhile, decide again. */
export async function register(
  registry: Partition,
  {
    service,
    expectedVersion,
    event,
  }: { service: Service; expectedVersion: number; event: Readonly<Record<string, unknown>> },
): Promise<'registered' | 'conflict'> {
  const args = [service.namespace, expectedVersion, JSON.stringify(service), JSON.stringify(event)]
  return (await runScript(registry, script, args)) as 'registered' | 'conflict'
}
