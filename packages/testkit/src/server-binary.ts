import { accessSync, constants } from 'node:fs'
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

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
