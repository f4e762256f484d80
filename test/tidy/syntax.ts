// Reads sources by their syntax rather than by patterns, so that a comment or a string which looks like code is none.
import { parseSync, Visitor } from 'rolldown/utils'
import { lineAt, type SourceFile } from './repository.ts'

export type Handlers = ConstructorParameters<typeof Visitor>[0]

/** Walks the tree of a file. A file that cannot be parsed is an error: nothing could be said about it. */
export function visit(file: SourceFile, handlers: Handlers): void {
  const { program, errors } = parseSync(file.path, file.text)
  if (errors.length > 0) throw new Error(`${file.path} cannot be parsed: ${errors[0]?.message}`)
  new Visitor(handlers).visit(program)
}

export interface Import {
  readonly specifier: string
  readonly line: number
  /** Nothing of it is there when the program runs. */
  readonly typesOnly: boolean
}

/** Every module that a file names: imports, re-exports, dynamic imports, types of the form `import('x').T`. */
export function readImports(file: SourceFile): Import[] {
  const imports: Import[] = []
  const note = (source: { type: string; start: number; value?: unknown } | null, typesOnly = false) => {
    if (typeof source?.value === 'string') {
      imports.push({ specifier: source.value, line: lineAt(file.text, source.start), typesOnly })
    }
  }
  visit(file, {
    ImportDeclaration: (node) => note(node.source, node.importKind === 'type'),
    ExportNamedDeclaration: (node) => note(node.source),
    ExportAllDeclaration: (node) => note(node.source),
    ImportExpression: (node) => note(node.source),
    TSImportType: (node) => note(node.source, true),
  })
  return imports
}
