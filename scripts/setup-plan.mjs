// The decisions of setup.mjs, apart from the machine they are made about, so that a test can put any machine before them.
// Plain JavaScript without dependencies, here and in the whole folder: it runs before anything is installed.

import { INSTALL_COMMANDS, PARTS } from './setup-parts.mjs'

export const OLDEST_NODE_MAJOR = 20
export const PROJECT_NODE_MAJOR = 24

/** What to say to a Node that is too old even for these scripts; undefined when it is not. */
export function nodeComplaint(version) {
  if (majorOf(version) >= OLDEST_NODE_MAJOR) return undefined
  return [
    `Node ${OLDEST_NODE_MAJOR} or newer is needed to begin, and this is ${version}.`,
    'Install a newer one from https://nodejs.org/en/download and run the same command again.',
    `(Millrace itself runs on Node ${PROJECT_NODE_MAJOR}, which it installs into its own folder.)`,
  ].join('\n')
}

export function majorOf(version) {
  return Number(/^v?(\d+)/.exec(version)?.[1] ?? 0)
}

/**
 * How to come to the programs that are no npm packages. `facts.missing` names the PARTS that are needed and not here.
 *
 * Only Debian and Ubuntu are installed on unasked, and only where that needs no password: `apt-get` is the one package
 * manager that the two commands promise to work with. Everybody else gets the command to run.
 */
export function partsPlan(facts) {
  const missing = facts.missing.filter((name) => !(name === 'redis' && facts.redisUrl && facts.redisUrlSuffices))
  if (missing.length === 0) return { kind: 'nothing to do' }
  const canApt = facts.hasAptGet && isDebianLike(facts)
  const packages = missing.map((name) => PARTS[name].packages.apt)
  const units = missing.flatMap((name) => PARTS[name].units)
  if (canApt && facts.isRoot) return { kind: 'install', prefix: [], packages, units }
  if (canApt && facts.sudoNeedsNoPassword) return { kind: 'install', prefix: ['sudo', '-n'], packages, units }
  return { kind: 'stop', message: missingMessage({ ...facts, missing }) }
}

/** What is not here, and the commands that bring it. */
export function missingMessage(facts) {
  const { missing } = facts
  const what = missing.length > 1 ? 'them' : 'it'
  const lines = missing.map((name) => PARTS[name].missing)
  lines.push(`Install ${what} and run the same command again:`, '')
  lines.push(...installCommands(facts).map((command) => `  ${command}`))
  if (missing.includes('redis') && facts.redisUrlSuffices) {
    lines.push('', 'Or use a Redis that is already there, and nothing needs to be installed for it:', '')
    lines.push('  REDIS_URL=redis://host:6379 npm start')
  }
  return lines.join('\n')
}

function installCommands(facts) {
  const sudo = facts.isRoot ? '' : 'sudo '
  const command = (manager) =>
    INSTALL_COMMANDS[manager](facts.missing.map((name) => PARTS[name].packages[manager]).join(' '), sudo)
  if (facts.platform === 'win32') return ['wsl --install   # then clone and start Millrace inside of it']
  const manager = packageManager(facts)
  if (manager) return [command(manager)]
  return [
    `${command('apt')}   # Debian, Ubuntu`,
    `${command('dnf')}   # Fedora`,
    `${command('apk')}   # Alpine`,
    `${command('brew')}   # macOS`,
  ]
}

function packageManager(facts) {
  if (facts.platform === 'darwin') return 'brew'
  if (isDebianLike(facts)) return 'apt'
  const families = [facts.osId, ...(facts.osIdLike ?? [])]
  // dnf5 and Fedora come first: `rhel` is also what Fedora's children name as their family.
  if (families.some((id) => id === 'fedora' || id === 'rhel' || id === 'centos')) return 'dnf'
  if (families.includes('alpine')) return 'apk'
  if (families.includes('arch')) return 'pacman'
  if (families.some((id) => id === 'suse' || id === 'opensuse')) return 'zypper'
  return undefined
}

function isDebianLike(facts) {
  return facts.osId === 'debian' || facts.osId === 'ubuntu' || (facts.osIdLike ?? []).some((id) => id === 'debian')
}

/** `ID` and `ID_LIKE` of /etc/os-release. */
export function parseOsRelease(text) {
  const value = (name) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
  return { osId: value('ID'), osIdLike: value('ID_LIKE').split(' ').filter(Boolean) }
}

const DEPENDENCY_FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']

/**
 * Why the dependencies have to be installed; undefined when node_modules is what the lockfile says.
 *
 * npm writes down what it installed in node_modules/.package-lock.json, as the last thing of an install. To read that
 * rather than to keep a note of our own means that an `npm ci` by hand counts too, and that one which broke off does not.
 *
 * @param lock package-lock.json; @param installed node_modules/.package-lock.json, or undefined when it is missing
 * @param manifests the package.json of each workspace by folder, the root's under ''
 */
export function installReason({ lock, installed, manifests }) {
  if (!installed) return 'they are not installed yet'
  for (const folder of Object.keys(manifests)) {
    if (!sameDependencies(manifests[folder], lock.packages[folder] ?? {})) {
      return `${folder === '' ? '' : `${folder}/`}package.json has changed`
    }
  }
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (path === '') continue
    const present = installed.packages[path]
    // Builds for other platforms are locked, marked optional, and rightly not there.
    if (!present && !locked.optional) return `${path} is missing`
    if (present && (present.version !== locked.version || present.integrity !== locked.integrity)) {
      return `${path} is another version`
    }
  }
  const extra = Object.keys(installed.packages).find((path) => !lock.packages[path])
  return extra && `${extra} is no longer in the lockfile`
}

function sameDependencies(manifest, locked) {
  return DEPENDENCY_FIELDS.every((field) => asText(manifest[field]) === asText(locked[field]))
}

function asText(dependencies = {}) {
  return JSON.stringify(Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A line on what may be wrong, for an npm that failed; empty when its output does not say. */
export function npmFailureHint(output) {
  if (/EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|network/i.test(output)) {
    return 'It looks as if the package registry cannot be reached: check the network, or the proxy settings of npm.'
  }
  if (/EACCES|EROFS|EPERM/.test(output)) return 'It looks as if this folder cannot be written to.'
  if (/ENOSPC/.test(output)) return 'The disk is full.'
  if (/in sync/.test(output)) return 'Run `npm install`, and commit package-lock.json with package.json.'
  return ''
}
