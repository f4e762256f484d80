import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './find-program.ts'

/** Files in PEM. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

/** A certificate authority of the test's own, which nobody trusts unless told to. */
export interface CertificateAuthority {
  readonly caFile: string
  /** A certificate for servers of these names and addresses, valid for a day. */
  issue(...hosts: readonly string[]): Certificate
  /** Removes its files, issued certificates included. */
  remove(): void
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']

/**
 * Makes the authority's key and certificate.
 *
 * @throws Error naming the install command when there is no `openssl` on PATH.
 */
export function createCertificateAuthority(): CertificateAuthority {
  const openssl = findProgram(['openssl'], 'openssl is not on PATH. Install it: `sudo apt-get install -y openssl`.')
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'))
  let count = 0
  const make = (name: string, args: readonly string[]): Certificate => {
    const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) }
    const out = ['-keyout', files.keyFile, '-out', files.certFile]
    execFileSync(openssl, ['req', '-x509', ...KEY, ...out, '-subj', `/CN=${name}`, ...args], { stdio: 'pipe' })
    return files
  }
  const ca = make('authority', ['-addext', 'basicConstraints=critical,CA:TRUE'])
  return {
    caFile: ca.certFile,
    issue(...hosts) {
      const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',')
      const signed = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE']
      return make(`server-${++count}`, [...signed, '-addext', `subjectAltName=${names}`])
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
