import { posix } from 'node:path'
import { type Finding, isTestFile, type SourceFile, type Workspace } from './repository.ts'
import { type Import, readImports } from './syntax.ts'

const PACKAGES = ['contracts', 'time', 'traces', 'runtime', 'streams', 'access', 'engine', 'delivery', 'sdk']

/** Who may import whom, by kind of workspace: "Rooms" in ARCHITECTURE.md. turbo.json says the same to `turbo boundaries`. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  monitoring: ['contracts'],
  time: [],
  traces: [],
  runtime: ['contracts', 'time'],
  streams: ['contracts'],
  access: ['contracts', 'streams'],
  engine: ['contracts'],
  delivery: ['contracts', 'time', 'streams', 'engine'],
  sdk: ['contracts', 'traces', 'streams', 'engine', 'delivery'],
  testkit: [],
  app: PACKAGES,
  example: ['sdk'],
  test: [...PACKAGES, 'monitoring'],
  bench: PACKAGES,
}

const SCOPE = '@millrace/'

export function kindOf(workspace: Workspace): string {
  if (workspace.folder.startsWith('apps/')) return 'app'
  if (workspace.folder.startsWith('examples/')) return 'example'
  return posix.basename(workspace.folder)
}

/** Imports that go the wrong way, go around a package's index, leave their workspace, or are not declared. */
export function checkDirections(files: readonly SourceFile[], workspaces: readonly Workspace[]): Finding[] {
  return files.flatMap((file) => {
    const home = workspaces.find(({ folder }) => file.path.startsWith(`${folder}/`))
    if (!home) return []
    return readImports(file).flatMap((each) => {
      const fix = complaint(each, { file, home, workspaces })
      return fix ? [{ file: file.path, line: each.line, fix }] : []
    })
  })
}

interface Context {
  readonly file: SourceFile
  readonly home: Workspace
  readonly workspaces: readonly Workspace[]
}

function complaint({ specifier, typesOnly }: Import, context: Context): string | undefined {
  if (specifier.startsWith('node:')) return undefined
  if (specifier.startsWith('.')) return complaintOnPath(specifier, context)
  const name = packageNameOf(specifier)
  const { file, home } = context
  if (name === home.name) return undefined
  if (name.startsWith(SCOPE))
    return complaintOnWorkspace(specifier, context) ?? complaintOnDeclaration(name, file, home)
  // Types are gone when the program runs, so whoever installs the package need not have them.
  if (typesOnly && home.devDependencies.includes(name)) return undefined
  return complaintOnDeclaration(name, file, home)
}

function complaintOnPath(specifier: string, { file, home }: Context): string | undefined {
  const target = posix.join(posix.dirname(file.path), specifier)
  if (target.startsWith(`${home.folder}/`)) return undefined
  // The scripts run before anything is installed, so they are not a workspace that could be imported by name.
  if (home.folder === 'test' && target.startsWith('scripts/')) return undefined
  return `imports ${specifier}, outside of ${home.folder}: import the package by its name`
}

function complaintOnWorkspace(specifier: string, { file, home, workspaces }: Context): string | undefined {
  const target = workspaces.find(({ name }) => name === packageNameOf(specifier))
  if (!target) return `imports ${specifier}, which is no workspace: correct the name`
  const doors = (target.doors ?? ['.']).map((door) => posix.join(target.name, door))
  if (!doors.includes(specifier))
    return `imports ${specifier}: import from '${target.name}', and export there what is needed`
  const [from, to] = [kindOf(home), kindOf(target)]
  if (to === 'testkit') return isTestFile(file.path) ? undefined : 'imports the testkit: only tests and bench may'
  if (ALLOWED[from]?.includes(to)) return undefined
  const allowed = ALLOWED[from]?.map((kind) => SCOPE + kind).join(', ') || 'no workspace'
  return `imports ${specifier}: ${from} may import ${allowed}; move the code down, or pass it in`
}

function complaintOnDeclaration(name: string, file: SourceFile, home: Workspace): string | undefined {
  if (home.dependencies.includes(name)) return undefined
  // vitest belongs to the whole house and stands in the package.json at the top.
  if (isTestFile(file.path) && (name === 'vitest' || home.devDependencies.includes(name))) return undefined
  const field = isTestFile(file.path) ? 'devDependencies' : 'dependencies'
  return `imports ${name}: declare it in the ${field} of ${home.folder}/package.json`
}

/** "@scope/name" of "@scope/name/inside", "name" of "name/inside". */
function packageNameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
