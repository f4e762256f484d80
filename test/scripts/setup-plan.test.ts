import { describe, expect, it } from 'vitest'
// @boundaries-ignore the scripts run before anything is installed, so they are no workspace to import by name
import {
  installReason,
  type Lockfile,
  type MachineFacts,
  nodeComplaint,
  npmFailureHint,
  parseOsRelease,
  partsPlan,
} from '../../scripts/setup-plan.mjs'

const ubuntu: MachineFacts = {
  platform: 'linux',
  osId: 'ubuntu',
  osIdLike: ['debian'],
  isRoot: false,
  sudoNeedsNoPassword: false,
  hasAptGet: true,
  missing: ['redis'],
  redisUrl: undefined,
  redisUrlSuffices: true,
}

describe('partsPlan', () => {
  it('uses what is there', () => {
    expect(partsPlan({ ...ubuntu, missing: [] })).toEqual({ kind: 'nothing to do' })
  })

  it('takes REDIS_URL for a server to start with, but not to test with', () => {
    const withUrl = { ...ubuntu, redisUrl: 'redis://host:6379' }
    expect(partsPlan(withUrl)).toEqual({ kind: 'nothing to do' })
    expect(partsPlan({ ...withUrl, redisUrlSuffices: false }).kind).toBe('stop')
    const alsoMissing = partsPlan({ ...withUrl, missing: ['redis', 'prometheus'], isRoot: true })
    expect(alsoMissing).toMatchObject({ kind: 'install', packages: ['prometheus'] })
  })

  it('installs on Debian and Ubuntu as root, or with a sudo that asks no password', () => {
    const redis = { packages: ['redis-server'], units: ['redis-server.service'] }
    expect(partsPlan({ ...ubuntu, isRoot: true })).toEqual({ kind: 'install', prefix: [], ...redis })
    const withSudo = partsPlan({ ...ubuntu, sudoNeedsNoPassword: true })
    expect(withSudo).toEqual({ kind: 'install', prefix: ['sudo', '-n'], ...redis })
    const mint = { ...ubuntu, osId: 'linuxmint', osIdLike: ['ubuntu', 'debian'], isRoot: true }
    expect(partsPlan(mint).kind).toBe('install')
  })

  it('installs everything that is missing in one go, and knows which services come along', () => {
    const plan = partsPlan({ ...ubuntu, isRoot: true, missing: ['postgresql', 'prometheus'] })
    expect(plan).toMatchObject({
      packages: ['postgresql', 'prometheus'],
      units: ['postgresql.service', 'prometheus.service'],
    })
  })

  it.each<[string, Partial<MachineFacts>, string]>([
    ['Ubuntu without root', {}, 'sudo apt-get update && sudo apt-get install -y redis-server'],
    ['macOS', { platform: 'darwin', osId: '', osIdLike: [], hasAptGet: false }, 'brew install redis'],
    ['Fedora', { osId: 'fedora', osIdLike: [], hasAptGet: false }, 'sudo dnf install -y valkey'],
    ['Rocky as root', { osId: 'rocky', osIdLike: ['rhel', 'fedora'], isRoot: true }, '  dnf install -y valkey'],
    ['Alpine as root', { osId: 'alpine', osIdLike: [], hasAptGet: false, isRoot: true }, '  apk add valkey'],
    ['Arch', { osId: 'arch', osIdLike: [], hasAptGet: false }, 'sudo pacman -S --noconfirm valkey'],
    ['a system nobody knows', { osId: 'plan9', osIdLike: [], hasAptGet: false }, 'brew install redis'],
  ])('names the command on %s', (_name, facts, command) => {
    const plan = partsPlan({ ...ubuntu, ...facts })
    expect(plan).toMatchObject({ kind: 'stop', message: expect.stringContaining(command) })
    expect(plan).toMatchObject({ message: expect.stringContaining('REDIS_URL=redis://host:6379 npm start') })
  })

  it('names what is missing, each with its package, in one command', () => {
    const plan = partsPlan({ ...ubuntu, missing: ['redis', 'postgresql', 'prometheus'], redisUrlSuffices: false })
    const message = plan.kind === 'stop' ? plan.message : ''
    expect(message).toContain('No redis-server')
    expect(message).toContain('No PostgreSQL server')
    expect(message).toContain('No prometheus')
    expect(message).toContain('apt-get install -y redis-server postgresql prometheus')
  })

  it('does not offer REDIS_URL where it would not help', () => {
    for (const facts of [{ redisUrlSuffices: false }, { missing: ['postgresql'] as const }]) {
      const plan = partsPlan({ ...ubuntu, ...facts })
      expect(plan).toMatchObject({ kind: 'stop', message: expect.not.stringContaining('REDIS_URL') })
    }
  })
})

describe('parseOsRelease', () => {
  it('reads ID and ID_LIKE, quoted or not, and nothing else', () => {
    const text = 'NAME="Rocky Linux"\nVERSION_ID="9"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
    expect(parseOsRelease(text)).toEqual({ osId: 'rocky', osIdLike: ['rhel', 'centos', 'fedora'] })
    expect(parseOsRelease('ID=debian\n')).toEqual({ osId: 'debian', osIdLike: [] })
    expect(parseOsRelease('')).toEqual({ osId: '', osIdLike: [] })
  })
})

describe('nodeComplaint', () => {
  it('is content from Node 20 on', () => {
    expect(nodeComplaint('v20.0.0')).toBeUndefined()
    expect(nodeComplaint('v24.21.0')).toBeUndefined()
    expect(nodeComplaint('v18.20.4')).toContain('this is v18.20.4')
  })
})

describe('installReason', () => {
  const manifests = { '': { devDependencies: { vitest: '5.1.1' } }, 'packages/a': { dependencies: { zod: '4.0.0' } } }
  const lock: Lockfile = {
    packages: {
      '': { devDependencies: { vitest: '5.1.1' } },
      'packages/a': { version: '0.1.0', dependencies: { zod: '4.0.0' } },
      'node_modules/vitest': { version: '5.1.1', integrity: 'sha512-v' },
      'node_modules/zod': { version: '4.0.0', integrity: 'sha512-z' },
      'node_modules/zod-windows': { version: '4.0.0', integrity: 'sha512-w', optional: true },
    },
  }
  const { '': _root, 'node_modules/zod-windows': _other, ...packages } = lock.packages
  const installed: Lockfile = { packages }

  it('has none when everything for this platform is installed', () => {
    expect(installReason({ lock, installed, manifests })).toBeUndefined()
  })

  it('sees a first install, also after one that broke off before npm wrote its record', () => {
    expect(installReason({ lock, installed: undefined, manifests })).toBe('they are not installed yet')
  })

  it('sees a dependency that is missing, another version, or one too many', () => {
    const { 'node_modules/zod': zod, ...withoutZod } = packages
    expect(installReason({ lock, installed: { packages: withoutZod }, manifests })).toContain('zod is missing')
    const older = { ...packages, 'node_modules/zod': { ...zod, version: '3.0.0' } }
    expect(installReason({ lock, installed: { packages: older }, manifests })).toContain('zod is another version')
    const more = { ...packages, 'node_modules/left': { version: '1.0.0' } }
    expect(installReason({ lock, installed: { packages: more }, manifests })).toContain('left is no longer')
  })

  it('sees a package.json that the lockfile does not know yet', () => {
    const changed = { ...manifests, 'packages/a': { dependencies: { zod: '4.0.0', yaml: '2.0.0' } } }
    expect(installReason({ lock, installed, manifests: changed })).toBe('packages/a/package.json has changed')
    const added = { ...manifests, 'packages/b': { dependencies: { zod: '4.0.0' } } }
    expect(installReason({ lock, installed, manifests: added })).toBe('packages/b/package.json has changed')
  })
})

describe('npmFailureHint', () => {
  it('names the network, the disk and the lockfile, and keeps quiet about the rest', () => {
    expect(npmFailureHint('npm error code EAI_AGAIN')).toContain('registry cannot be reached')
    expect(npmFailureHint('npm error EROFS: read-only file system')).toContain('cannot be written')
    expect(npmFailureHint('package.json and package-lock.json are not in sync')).toContain('npm install')
    expect(npmFailureHint('npm error something else')).toBe('')
  })
})
