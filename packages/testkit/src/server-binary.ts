import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const BINARIES = ['redis-server', 'valkey-server']

/** The full path of the first server on PATH; Redis before Valkey, since that is what most machines have. */
export function findServerBinary(path: string = process.env.PATH ?? ''): string {
  for (const name of BINARIES) {
    for (const folder of path.split(delimiter)) {
      if (folder !== '' && isExecutable(join(folder, name))) return join(folder, name)
    }
  }
  throw new Error(
    'Neither redis-server nor valkey-server is on PATH, and the tests need a real one. ' +
      'Install it: `sudo apt-get install -y redis-server` (Debian, Ubuntu), `brew install redis` (macOS), ' +
      '`sudo dnf install -y valkey` (Fedora), `sudo apk add valkey` (Alpine).',
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

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
