// Makes a machine ready for `npm start` and `npm test`: the dependencies, Node 24 in node_modules, and
// the programs that are no npm packages (a Redis server; for the tests also PostgreSQL and Prometheus).
// What is there already is left alone, and then this takes a few milliseconds. Nothing here asks a question.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PARTS } from './setup-parts.mjs'
import * as plan from './setup-plan.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const binFolder = join(root, 'node_modules', '.bin')

// An app is thirteen hundred modules: with what Node compiled and stripped before, it starts in half the processor time
// (the dispatcher: 0.84 s instead of 1.55 s). Node itself throws away what does not fit its version or the file.
const compileCache = join(root, 'node_modules', '.cache', 'compiled')

/**
 * Resolves with `{ node, env }`: the Node to run Millrace with, and an environment whose PATH finds it, and the tools in
 * node_modules, first. What cannot be made ready ends the process with a message that names the command to run.
 *
 * @param needs the programs that must be here, by their names in PARTS
 * @param redisUrlSuffices whether REDIS_URL makes a server on this machine unnecessary
 */
export async function setup({ needs = [], redisUrlSuffices = false } = {}) {
  const complaint = plan.nodeComplaint(process.version)
  if (complaint) stop(complaint)
  await installDependencies()
  const node = await projectNode()
  await provideParts(needs, redisUrlSuffices)
  const elsewhere = needs.flatMap((name) => foldersOf(PARTS[name]))
  const folders = new Set([dirname(node), binFolder, ...pathFolders(), ...elsewhere])
  return { node, env: { NODE_COMPILE_CACHE: compileCache, ...process.env, PATH: [...folders].join(delimiter) } }
}

async function installDependencies() {
  const reason = plan.installReason({
    lock: readJson('package-lock.json'),
    installed: readJson('node_modules/.package-lock.json'),
    manifests: readManifests(),
  })
  if (!reason) return
  requireWritable(root)
  const done = progress(`Installing dependencies (${reason})`)
  // No package but `node` has anything to do at install time, and that one is asked for by name below. So a script that
  // some dependency grows one day does not run on the machine of whoever tries Millrace.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  const { code, output } = await run('npm', args)
  done(code === 0)
  if (code !== 0) stopWithOutput(`npm ${args.join(' ')}`, output)
}

/** The path of a Node that can run Millrace: the one in node_modules, installed now when it is not there yet. */
async function projectNode() {
  const local = join(binFolder, process.platform === 'win32' ? 'node.cmd' : 'node')
  if (isProjectNode(local)) return local
  const done = progress(`Installing Node ${plan.PROJECT_NODE_MAJOR} into node_modules`)
  // By its command-line flag, because `ignore-scripts=true` in a user's .npmrc would leave the package empty.
  const args = ['rebuild', 'node', '--ignore-scripts=false']
  const { output } = await run('npm', args)
  const isThere = isProjectNode(local)
  done(isThere)
  if (isThere) return local
  // There is no such package for every system (musl, for one); a Node of the right age that is here serves as well.
  if (plan.majorOf(process.version) >= plan.PROJECT_NODE_MAJOR) return process.execPath
  return stopWithOutput(
    `npm ${args.join(' ')}`,
    output,
    `Or install Node ${plan.PROJECT_NODE_MAJOR} from https://nodejs.org/en/download and run the same command again.`,
  )
}

function isProjectNode(file) {
  const { status, stdout } = spawnSync(file, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 && plan.majorOf(stdout) === plan.PROJECT_NODE_MAJOR
}

async function provideParts(needs, redisUrlSuffices) {
  const facts = () => machineFacts(needs, redisUrlSuffices)
  const what = plan.partsPlan(facts())
  if (what.kind === 'stop') stop(what.message)
  if (what.kind !== 'install') return
  const done = progress(`Installing ${what.packages.join(', ')}`)
  const { code, output } = await withoutServices(what, () => aptInstall(what))
  const after = plan.partsPlan(facts())
  const isThere = code === 0 && after.kind === 'nothing to do'
  done(isThere)
  if (!isThere) stop(`${output}\n${plan.missingMessage(facts())}`)
}

async function aptInstall({ prefix, packages }) {
  // `env` rather than our own environment, because sudo drops that. RUNLEVEL=1 tells packages, where there is no systemd,
  // that this is no time to start a service.
  const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_SUSPEND=1', 'RUNLEVEL=1', 'apt-get', '-q']
  // Another apt, such as the nightly upgrade, may hold the lock for a while.
  const install = [...apt, '-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends', ...packages]
  const [command, ...rest] = [...prefix, ...install]
  const first = await run(command, rest)
  if (first.code === 0) return first
  // A fresh image has no package lists, and old lists name files that are no longer on the mirror.
  const [update, ...updateArguments] = [...prefix, ...apt, 'update']
  const updated = await run(update, updateArguments)
  const second = await run(command, rest)
  return { code: second.code, output: `${updated.output}\n${second.output}` }
}

/**
 * Millrace runs servers of its own and wants only the programs: the services that come along are neither started now nor at
 * the next boot. systemd starts what it may, so they are masked while the packages are installed. All of it is a
 * courtesy; a system where it fails has a service more.
 */
async function withoutServices({ prefix, units }, install) {
  if (!existsSync('/run/systemd/system')) return install()
  const systemctl = (...args) => {
    const [command, ...rest] = [...prefix, 'systemctl', '--quiet', ...args, ...units]
    return run(command, rest)
  }
  await systemctl('mask', '--runtime')
  const result = await install()
  await systemctl('unmask', '--runtime')
  await systemctl('disable')
  return result
}

function machineFacts(needs, redisUrlSuffices) {
  const isRoot = process.getuid?.() === 0
  const hasAptGet = onPath('apt-get')
  const missing = needs.filter((name) => !isHere(PARTS[name]))
  return {
    platform: process.platform,
    ...plan.parseOsRelease(readText('/etc/os-release') ?? ''),
    isRoot,
    hasAptGet,
    // Asked only where the answer matters: some systems report every sudo that is refused.
    sudoNeedsNoPassword: !isRoot && hasAptGet && missing.length > 0 && spawnSync('sudo', ['-n', 'true']).status === 0,
    missing,
    redisUrl: process.env.REDIS_URL,
    redisUrlSuffices,
  }
}

function isHere(part) {
  const folders = [...pathFolders(), ...foldersOf(part)]
  return part.programs.every((names) =>
    folders.some((folder) => names.some((name) => isExecutable(join(folder, name)))),
  )
}

/** The folders of a part besides PATH that are on this machine, the highest version first. */
function foldersOf(part) {
  return part.folders.flatMap((pattern) => {
    const steps = pattern.split('/')
    const star = steps.findIndex((step) => step.includes('*'))
    const parent = steps.slice(0, star).join('/')
    const [before, after] = steps[star].split('*')
    const names = existsSync(parent) ? readdirSync(parent) : []
    return names
      .filter((name) => name.startsWith(before) && name.endsWith(after))
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map((name) => [parent, name, ...steps.slice(star + 1)].join('/'))
      .filter(existsSync)
  })
}

function onPath(name) {
  return pathFolders().some((folder) => isExecutable(join(folder, name)))
}

function pathFolders() {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The package.json of each workspace by folder, the root's under ''. Patterns are `folder` or `folder/*`. */
function readManifests() {
  const manifests = { '': readJson('package.json') }
  for (const pattern of manifests[''].workspaces) {
    const parent = pattern.replace(/\/\*$/, '')
    const folders = parent === pattern ? [parent] : listFolder(parent).map((name) => `${parent}/${name}`)
    for (const folder of folders) {
      const manifest = readJson(`${folder}/package.json`)
      if (manifest) manifests[folder] = manifest
    }
  }
  return manifests
}

function listFolder(path) {
  return existsSync(join(root, path)) ? readdirSync(join(root, path)) : []
}

function readJson(path) {
  const text = readText(join(root, path))
  return text === undefined ? undefined : JSON.parse(text)
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function requireWritable(folder) {
  try {
    accessSync(folder, constants.W_OK)
  } catch {
    stop(`The dependencies have to be installed into ${folder}, and that folder cannot be written to.`)
  }
}

/** Runs a command to its end and keeps what it says. It has no input, so it cannot ask. */
function run(command, args) {
  return new Promise((resolve) => {
    // Under `npm start` PATH begins with node_modules/.bin, and `npm ci` must not run on a Node that it is about to remove.
    const folders = (process.env.PATH ?? '')
      .split(delimiter)
      .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: folders.join(delimiter) },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    }
    child.on('error', (error) => {
      const isMissing = error.code === 'ENOENT'
      resolve({ code: 127, output: isMissing ? `The command ${command} was not found on PATH.` : error.message })
    })
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

/** One line per step: rewritten with the seconds on a terminal, written once into a log. */
function progress(what) {
  const startedAt = Date.now()
  const seconds = () => ((Date.now() - startedAt) / 1000).toFixed(0)
  const isTerminal = process.stderr.isTTY === true
  const show = (text) => process.stderr.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`)
  show(`${what} …`)
  const timer = isTerminal ? setInterval(() => show(`${what} … ${seconds()} s`), 1000) : undefined
  return (isDone) => {
    clearInterval(timer)
    show(`${what} … ${isDone ? 'done' : 'failed'} in ${seconds()} s`)
    if (isTerminal) process.stderr.write('\n')
  }
}

function stopWithOutput(command, output, advice = '') {
  const lines = [output.trimEnd(), '', 'This command failed; its whole output is above. To try it by hand:', '']
  lines.push(`  cd ${root} && ${command}`, '', plan.npmFailureHint(output), advice)
  return stop(lines.join('\n'))
}

function stop(message) {
  console.error(`\n${message.trimEnd()}\n`)
  process.exit(1)
}
