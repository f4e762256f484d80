import { type Finding, isTestFile, lineAt, type SourceFile } from './repository.ts'
import { visit } from './syntax.ts'

const TEST_FUNCTIONS = new Set(['it', 'test', 'describe', 'suite', 'bench'])
const LEFT_OUT = new Set(['only', 'skip', 'todo', 'skipIf', 'runIf'])

interface Node {
  readonly type: string
  readonly start: number
}

/** Tests that do not run, that check nothing, or that wait for the clock. */
export function checkTestHabits(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => isTestFile(path) && !letsTimePass(path)).flatMap(checkFile)
}

/** A measurement of an idle queue has to let time pass, and so has a fault that lasts for so long as was drawn. */
function letsTimePass(path: string): boolean {
  return path.startsWith('bench/') || (path.startsWith('test/chaos/') && !path.endsWith('.test.ts'))
}

function checkFile(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  const note = (node: Node, fix: string) => findings.push({ file: file.path, line: lineAt(file.text, node.start), fix })
  visit(file, {
    MemberExpression(node) {
      const name = 'name' in node.property ? node.property.name : ''
      if (LEFT_OUT.has(String(name)) && TEST_FUNCTIONS.has(firstName(node.object))) {
        note(node, `has .${name}: a test that is here runs; finish it or remove it`)
      }
    },
    ExpressionStatement(node) {
      if (isBareExpect(node.expression)) note(node, 'expects without a matcher: add one, such as .toBe(...)')
    },
    ImportDeclaration(node) {
      const isTimers = String(node.source.value).endsWith('timers/promises')
      if (isTimers) note(node, 'sleeps: wait with `eventually` from @millrace/testkit, or for an event')
    },
    NewExpression(node) {
      const isPromise = node.callee.type === 'Identifier' && node.callee.name === 'Promise'
      const [executor] = node.arguments
      if (isPromise && executor && resolvesByTimer(executor)) {
        note(node, 'sleeps: wait with `eventually` from @millrace/testkit, or for an event')
      }
    },
  })
  return findings
}

/** `it` of `it.each(table).only`, of `it.concurrent`, and of plain `it`. */
function firstName(node: Node): string {
  if (node.type === 'Identifier') return (node as Node & { name: string }).name
  if (node.type === 'MemberExpression') return firstName((node as Node & { object: Node }).object)
  if (node.type === 'CallExpression') return firstName((node as Node & { callee: Node }).callee)
  return ''
}

/** A statement `expect(x)` or `expect(x).not.toBe`: it looks like a check and never calls one. */
function isBareExpect(node: Node): boolean {
  if (node.type === 'AwaitExpression') return isBareExpect((node as Node & { argument: Node }).argument)
  if (node.type === 'MemberExpression') return firstName(node) === 'expect'
  if (node.type !== 'CallExpression') return false
  const { callee } = node as Node & { callee: Node }
  if (callee.type === 'Identifier') return firstName(callee) === 'expect'
  // `expect.soft(x)` and `expect.poll(x)` are no matchers either; `expect.assertions(1)` stands for itself.
  const { object, property } = callee as Node & { object?: Node; property?: { name?: string } }
  const isExpect = object?.type === 'Identifier' && firstName(object) === 'expect'
  return isExpect && (property?.name === 'soft' || property?.name === 'poll')
}

/** `(resolve) => setTimeout(resolve, ms)`: the executor hands its own parameter to the timer. */
function resolvesByTimer(executor: Node): boolean {
  const { params, body } = executor as Node & { params?: { name?: string }[]; body?: Node & { body?: unknown } }
  const resolve = params?.[0]?.name
  if (resolve === undefined || !body) return false
  const statements: readonly unknown[] = Array.isArray(body.body) ? body.body : [body]
  return statements.some((statement) => {
    const call = ((statement as { expression?: Node }).expression ?? statement) as Node & { arguments?: Node[] }
    const isTimer = call.type === 'CallExpression' && firstName(call) === 'setTimeout'
    return isTimer && call.arguments?.[0] !== undefined && firstName(call.arguments[0]) === resolve
  })
}
