import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findProgram, isExecutable } from './find-program.ts'

const BINARIES = ['redis-server', 'valkey-server']

/** The full path of the first server on PATH; Redis before Valkey, since that is what most machines have. */
export function findServerBinary(path?: string): string {
  return findProgram(
    BINARIES,
    'Neither redis-server nor valkey-server is on PATH, and the tests need a real one. ' +
      'Install it: `sudo apt-get install -y redis-server` (Debian, Ubuntu), `brew install redis` (macOS), ' +
      '`sudo dnf install -y valkey` (Fedora), `sudo apk add valkey` (Alpine).',
    path,
  )
}

/** Where Debian and Ubuntu keep the programs of the server, one folder for each version. */
const DEBIAN_POSTGRES = '/usr/lib/postgresql'

/**
 * The folder with the programs of a PostgreSQL server. Debian's comes first: what lies on PATH there may be a wrapper
 * around client programs only.
 */
export function findPostgresFolder(path: string = process.env.PATH ?? ''): string {
  const versions = existsSync(DEBIAN_POSTGRES) ? readdirSync(DEBIAN_POSTGRES) : []
  const newestFirst = versions.toSorted((a, b) => Number(b) - Number(a))
  const folders = [...newestFirst.map((version) => join(DEBIAN_POSTGRES, version, 'bin')), ...path.split(delimiter)]
  const found = folders.find(
    (folder) => folder !== '' && ['initdb', 'postgres', 'psql'].every((name) => isExecutable(join(folder, name))),
  )
  if (found) return found
  throw new Error(
    'There is no PostgreSQL server (initdb, postgres, psql) on PATH or under /usr/lib/postgresql, and the tests need a ' +
      'real one. Install it: `sudo apt-get install -y postgresql` (Debian, Ubuntu), `brew install postgresql` (macOS), ' +
      '`sudo dnf install -y postgresql-server` (Fedora), `sudo apk add postgresql` (Alpine).',
  )
}
