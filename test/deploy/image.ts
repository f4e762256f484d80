import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, matchesGlob, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { invariant } from '@millrace/runtime'

const top = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(top, path), 'utf8')

/** The files that the last stage of the Dockerfile has beside those of its base, and what it says of running them. */
export interface Image {
  /** The folder that is `/` there. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string
  readonly entrypoint: readonly string[]
  /** What is installed in it, as paths below the workdir. */
  readonly installed: readonly string[]
  remove(): void
}

interface Instruction {
  readonly word: string
  readonly rest: string
}

/** Follows the Dockerfile line by line, so that what it leaves out is not there either. */
export function layOutImage(): Image {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-image-'))
  const root = join(folder, 'root')
  makeBase(root)
  const image = {
    ...{ root, env: {} as Record<string, string>, workdir: '/', entrypoint: [] as string[], installed: [] as string[] },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
  const below = (path: string) => join(root, image.workdir, path)
  for (const { word, rest } of lastStage(read('Dockerfile'))) {
    switch (word) {
      case 'ENV':
        for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) image.env[name] = value
        break
      case 'WORKDIR':
        image.workdir = rest
        mkdirSync(below('.'), { recursive: true })
        break
      case 'ENTRYPOINT':
        image.entrypoint = JSON.parse(rest)
        break
      case 'COPY':
        if (rest === '--from=dependencies /app ./') image.installed.push(...install(below('.')))
        else copy(rest, below)
        break
      case 'RUN':
        // The folder for the volume, which whoever mounts one makes here.
        invariant(rest === 'mkdir /data && chown node:node /data', `what RUN ${rest} leaves is not known here`)
        break
      case 'USER':
        invariant(rest === 'node', `${rest} is another user than confined.sh becomes`)
        break
      default:
        invariant(word === 'FROM' || word === 'CMD', `what ${word} ${rest} does is not known here`)
    }
  }
  return image
}

/** Of the base no files, which are those of this machine, but the places where confined.sh mounts them. */
function makeBase(root: string): void {
  mkdirSync(root)
  // Its rights are those of `/`; the folder around it is ours alone.
  chmodSync(root, 0o755)
  for (const folder of ['usr', 'etc', 'bin', 'lib', 'lib64'].filter((folder) => existsSync(`/${folder}`))) {
    if (lstatSync(`/${folder}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${folder}`), join(root, folder))
    else mkdirSync(join(root, folder))
  }
  for (const folder of ['dev', 'proc', 'tmp', 'data', 'opt']) mkdirSync(join(root, folder))
  for (const file of ['opt/node', ...['null', 'zero', 'random', 'urandom'].map((device) => `dev/${device}`)])
    writeFileSync(join(root, file), '')
}

function lastStage(dockerfile: string): Instruction[] {
  const lines = dockerfile.replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '')
  const instructions = [...lines.matchAll(/^([A-Z]+) +(.*)$/gm)].map(([, word = '', rest = '']) => ({ word, rest }))
  return instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'))
}

interface Locked {
  readonly dev?: boolean
  readonly link?: boolean
  readonly resolved?: string
}

/** What `npm ci --omit=dev` leaves, from the packages that are installed here by the same lockfile. */
function install(app: string): string[] {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
  const production = Object.entries(packages).filter(([, { dev }]) => !dev)
  const [ours, theirs] = [production.filter(([path]) => !isModule(path)), production.filter(([path]) => isModule(path))]
  for (const [path] of ours) cpSync(join(top, path, 'package.json'), join(app, path, 'package.json'))
  // Builds for other systems are in the lockfile and not on this disk.
  const copied = theirs.filter(([path, { link }]) => !link && existsSync(join(top, path))).map(([path]) => path)
  linkFiles(copied, app)
  for (const [path, { link, resolved = '' }] of theirs) {
    if (!link) continue
    mkdirSync(dirname(join(app, path)), { recursive: true })
    symlinkSync(relative(dirname(path), resolved), join(app, path))
  }
  return theirs.map(([path]) => path)
}

const isModule = (path: string) => path.includes('node_modules/')

/** As hard links: there are nine thousand, and nobody can write to them where they are read. Copies where that cannot be. */
function linkFiles(paths: readonly string[], to: string): void {
  const cp = (how: string) => execFileSync('cp', [how, '--parents', ...paths, to], { cwd: top, stdio: 'ignore' })
  try {
    cp('-al')
  } catch {
    cp('-a')
  }
}

/** As Docker does it: without what .dockerignore names, which never gets to the builder. */
function copy(rest: string, below: (path: string) => string): void {
  const ignored = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const [from, to, ...more] = rest.split(/ +/)
  invariant(from !== undefined && to !== undefined && more.length === 0, `COPY ${rest} is not known here`)
  cpSync(join(top, from), below(to), {
    recursive: true,
    filter: (path) => !ignored.some((pattern) => matchesGlob(relative(top, path), pattern)),
  })
}
