import { posix } from 'node:path'
import { type Finding, isTestFile, lineAt, type SourceFile } from './repository.ts'
import { visit } from './syntax.ts'

/** Reads of the environment outside of `config.ts`, where all settings are read once, checked together and frozen. */
export function checkEnvironment(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => !mayReadEnvironment(path)).flatMap(readsOfEnvironment)
}

function mayReadEnvironment(path: string): boolean {
  if (posix.basename(path) === 'config.ts') return true
  // The scripts run where no config.ts can run yet; tests and the testkit pass the environment on to what they start.
  return path.startsWith('scripts/') || path.startsWith('packages/testkit/') || isTestFile(path)
}

function readsOfEnvironment(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  const note = (start: number) => {
    const fix = 'reads the environment: read it in config.ts, and receive the value'
    findings.push({ file: file.path, line: lineAt(file.text, start), fix })
  }
  visit(file, {
    MemberExpression(node) {
      const { object, property } = node
      const isProcess = object.type === 'Identifier' && object.name === 'process'
      if (isProcess && 'name' in property && property.name === 'env') note(node.start)
    },
    ImportDeclaration(node) {
      const isProcess = node.source.value === 'node:process' || node.source.value === 'process'
      if (isProcess && node.specifiers.some((each) => each.local.name === 'env')) note(node.start)
    },
  })
  return findings
}
