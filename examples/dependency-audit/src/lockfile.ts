import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** One entry of `packages` in an npm lockfile of version 2 or 3, as far as we use it. */
export interface LockEntry {
  /** Only where it differs from the folder, as for `npm install other-name@npm:name`. */
  readonly name?: string
  readonly version?: string
  readonly link?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

export interface LockedPackage extends LockEntry {
  /** Its folder, relative to the lockfile: `node_modules/a/node_modules/b`. Unique in a lockfile. */
  readonly path: string
  readonly name: string
  readonly version: string
}

export interface Lockfile {
  readonly folder: string
  readonly entries: Readonly<Record<string, LockEntry>>
  /** By path. */
  readonly packages: ReadonlyMap<string, LockedPackage>
}

/**
 * Reads `file` when it has changed since the last call. Hundreds of jobs ask for the same lockfile within seconds, and
 * an `npm install` between two of them must be seen.
 */
export function createLockfileReader(file: string): () => Promise<Lockfile> {
  let cached: { readonly stamp: string; readonly lockfile: Lockfile } | undefined
  return async () => {
    const { mtimeMs, size } = await stat(file)
    const stamp = `${mtimeMs}/${size}`
    if (cached?.stamp !== stamp)
      cached = { stamp, lockfile: parseLockfile(await readFile(file, 'utf8'), dirname(file)) }
    return cached.lockfile
  }
}

/** @throws Error when the text is not an npm lockfile of version 2 or 3. */
export function parseLockfile(text: string, folder: string): Lockfile {
  const { packages: entries } = JSON.parse(text) as { packages?: Readonly<Record<string, LockEntry>> }
  if (entries === undefined)
    throw new Error(`The lockfile in ${folder} has no "packages": it must be of version 2 or 3`)
  const packages = new Map<string, LockedPackage>()
  for (const [path, entry] of Object.entries(entries)) {
    if (isThirdParty(path, entry)) packages.set(path, toLockedPackage(path, entry))
  }
  return { folder, entries, packages }
}

/** The root, the workspaces and the links to them are this repository's own code: they are not what an audit is about. */
function isThirdParty(path: string, entry: LockEntry): boolean {
  return path.includes('node_modules/') && entry.link !== true
}

function toLockedPackage(path: string, entry: LockEntry): LockedPackage {
  const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  if (entry.version === undefined) throw new Error(`The lockfile gives ${path} no version`)
  return { ...entry, path, name, version: entry.version }
}
