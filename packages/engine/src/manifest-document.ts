import { toPointer } from '@millrace/contracts'
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml'

/** A mistake in a manifest, with the line it stands on where the manifest came as text. */
export interface ManifestMistake {
  readonly pointer: string
  readonly line?: number
  readonly detail: string
}

export interface ManifestDocument {
  readonly value: unknown
  /** The line of a value, or of a key when `key` is set. */
  lineOf(path: readonly PropertyKey[], options?: { key?: boolean }): number | undefined
}

export type ReadManifest =
  | { readonly kind: 'read'; readonly document: ManifestDocument }
  | { readonly kind: 'refused'; readonly mistakes: ManifestMistake[] }

/** A manifest as text or object, with the means to say where in the text a value stands. */
export function readManifest(source: string | Record<string, unknown>): ReadManifest {
  if (typeof source !== 'string') return { kind: 'read', document: { value: source, lineOf: () => undefined } }
  const lines = new LineCounter()
  const documents = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false }) as Document[]
  const mistakes = documents.flatMap((document) =>
    document.errors.map((error) => ({
      pointer: '',
      line: lines.linePos(error.pos[0]).line,
      detail: `is not valid YAML: ${error.message}`,
    })),
  )
  if (mistakes.length > 0) return { kind: 'refused', mistakes }

  // A Backstage file may hold several entities; ours is its one Component.
  const components = documents.filter(
    (document) => document.get('kind') === undefined || document.get('kind') === 'Component',
  )
  const [component] = components
  if (!component || components.length > 1) {
    const kinds = documents.map((document) => String(document.get('kind'))).join(', ')
    return refuse('/kind', `expected one entity of kind Component, got ${kinds || 'an empty file'}`)
  }
  try {
    return {
      kind: 'read',
      document: {
        value: component.toJS(),
        lineOf: (path, options) => findLine(component, lines, path, options?.key ?? false),
      },
    }
  } catch (error) {
    return refuse('', `could not be expanded: ${(error as Error).message}`)
  }
}

function refuse(pointer: string, detail: string): ReadManifest {
  return { kind: 'refused', mistakes: [{ pointer, detail }] }
}

function findLine(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
  key: boolean,
): number | undefined {
  // What is missing has no line of its own: its closest parent has.
  for (let depth = path.length; depth >= 0; depth--) {
    const node = key && depth === path.length ? keyNode(document, path) : document.getIn(path.slice(0, depth), true)
    const offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0]
    if (offset !== undefined) return lines.linePos(offset).line
  }
  return undefined
}

function keyNode(document: Document, path: readonly PropertyKey[]): unknown {
  const parent = document.getIn(path.slice(0, -1), true)
  if (!isMap(parent)) return undefined
  return parent.items.find((pair) => isScalar(pair.key) && pair.key.value === path.at(-1))?.key
}

export function mistakeAt(
  document: ManifestDocument,
  path: readonly PropertyKey[],
  detail: string,
  options?: { key?: boolean },
): ManifestMistake {
  const line = document.lineOf(path, options)
  return { pointer: toPointer(path), ...(line !== undefined && { line }), detail }
}
