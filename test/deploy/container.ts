import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ChildHandle, startProcess } from '@millrace/testkit'
import { parse } from 'yaml'
import type { Image } from './image.ts'

/** The user `node` of the image. */
export const NODE_UID = 1000

export interface ContainerOptions {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A folder that is mounted at /data. */
  readonly volume?: string
}

/** Runs the image's entry point in it, confined as docker-compose.yml has it; the network is that of the machine. */
export function startContainer(image: Image, { args, env = {}, volume = '' }: ContainerOptions): Promise<ChildHandle> {
  // Who is not root may make mounts in a user namespace alone.
  const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
  const confined = fileURLToPath(new URL('confined.sh', import.meta.url))
  const [file = '', ...rest] = args
  return startProcess({
    runner: [
      ...(['unshare', ...namespaces, 'sh', confined] as const),
      ...[image.root, process.execPath, volume, image.workdir, ...image.entrypoint],
    ],
    file,
    args: rest,
    env: {
      ...image.env,
      ...env,
      // What the tests keep for their processes is not in an image.
      NODE_COMPILE_CACHE: undefined,
      PATH: '/opt:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
      HOME: '/nonexistent',
    },
  })
}

/** A folder for /data, with the owner that a new volume takes over from the image. */
export function makeVolume(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-data-'))
  if (process.getuid?.() === 0) chownSync(path, NODE_UID, NODE_UID)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** What docker-compose.yml says of an app, with the values that it asks the environment for. */
export function composedApp(app: string, values: Readonly<Record<string, string>>) {
  const text = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8')
  const { services } = parse(text, { merge: true }) as {
    services: Record<string, { command: string[]; environment: Record<string, string> }>
  }
  const { command, environment } = services[app] as (typeof services)[string]
  const filled = (value: string) =>
    value.replace(/\$\{(\w+):[-?]([^}]*)\}/g, (_, name: string, fallback: string) => values[name] ?? fallback)
  return {
    command,
    env: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)])),
  }
}
