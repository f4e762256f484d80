import { findProgram } from './find-program.ts'

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
