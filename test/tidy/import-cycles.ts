import { posix } from 'node:path'
import type { Finding, SourceFile } from './repository.ts'
import { readImports } from './syntax.ts'

/**
 * Files that import each other in a circle, one finding per circle. Types count as well: a circle of types alone runs, but
 * the files in it can be understood, moved and tested only together.
 */
export function checkCycles(files: readonly SourceFile[]): Finding[] {
  const graph = new Map(files.map((file) => [file.path, neighbours(file)]))
  const finished = new Set<string>()
  const findings: Finding[] = []

  function walk(path: string, trail: readonly string[]): void {
    const start = trail.indexOf(path)
    if (start >= 0) {
      findings.push(toFinding([...trail.slice(start), path]))
      return
    }
    if (finished.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path])
    finished.add(path)
  }

  for (const path of graph.keys()) walk(path, [])
  return findings
}

function neighbours(file: SourceFile): string[] {
  return readImports(file)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => posix.join(posix.dirname(file.path), specifier))
}

function toFinding(circle: readonly string[]): Finding {
  return {
    file: circle[0]!,
    line: 1,
    fix: `imports itself: ${circle.join(' → ')}; move what both need into a file of its own`,
  }
}
