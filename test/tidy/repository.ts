// What the tidy tests look at: the files of the repository and its workspaces, read once.
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** From the top of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Workspace {
  readonly folder: string
  readonly name: string
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
  /** What of it may be imported, as its `exports` say: `.` is its index. */
  readonly doors?: readonly string[]
}

/** Something that is not as the house wants it. A fix says what to do, not what is wrong. */
export interface Finding {
  readonly file: string
  readonly line: number
  readonly fix: string
}

// What .gitignore names, and git's own folder. Read without git, so that an unpacked archive can be tested as well.
const NOT_OURS = ['node_modules', '.git', '.millrace', '.turbo', 'dist', 'coverage']

const root = fileURLToPath(new URL('../../', import.meta.url))

export function readFiles(pattern: string): SourceFile[] {
  const exclude = NOT_OURS.map((name) => `**/${name}`)
  return globSync(pattern, { cwd: root, exclude, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .map((file) => ({ path: file.slice(root.length).replaceAll('\\', '/'), text: readFileSync(file, 'utf8') }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** All TypeScript and JavaScript that somebody wrote here. */
export function readSources(): SourceFile[] {
  return readFiles('**/*.{ts,mts,mjs,js}').filter((file) => !file.path.endsWith('.d.mts'))
}

export function readWorkspaces(): Workspace[] {
  return readFiles('{packages,apps,examples}/*/package.json')
    .concat(readFiles('{test,bench}/package.json'))
    .map(toWorkspace)
}

function toWorkspace({ path, text }: SourceFile): Workspace {
  const manifest = JSON.parse(text)
  return {
    folder: path.slice(0, -'/package.json'.length),
    name: manifest.name,
    dependencies: Object.keys(manifest.dependencies ?? {}),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
    doors: Object.keys(manifest.exports ?? {}),
  }
}

/** Tests, and what only tests and measurements use: they may look into what they test, and nothing ships with them. */
export function isTestFile(path: string): boolean {
  // Nothing of packages/monitoring runs with an app: it makes files, so what it needs is for development alone.
  const folders = ['test/', 'bench/', 'packages/monitoring/']
  return folders.some((folder) => path.startsWith(folder)) || path.includes('/test/')
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** As lines that an editor can jump to; a test expects the list to be empty, so a failure shows all of them. */
export function listed(findings: readonly Finding[]): string[] {
  return findings.map(({ file, line, fix }) => `${file}:${line} ${fix}`)
}
