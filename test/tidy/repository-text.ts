import { type Finding, lineAt, type SourceFile } from './repository.ts'

// What only holds on the machine of whoever wrote it. One letter of each stands in brackets, so that the list does not
// find itself.
const FORBIDDEN: readonly { readonly pattern: RegExp; readonly fix: string }[] = [
  { pattern: /(?<![\w.\]}-])\/(?:hom[e]|User[s])\/[a-z]/g, fix: 'names a home folder: use a relative path, or ~' },
  { pattern: /(?<![\w.\]}-])\/roo[t]\/[\w.]/g, fix: 'names a home folder: use a relative path, or ~' },
  { pattern: /(?<![\w.\]}-])\/wor[k]\/[a-z]/g, fix: 'names a folder of one machine: use a relative path' },
  {
    pattern: /https?:\/\/[\w.-]*(?:registr[y]|artifactor[y]|verdacci[o]|nexu[s])[\w.-]*/g,
    fix: 'names a registry: leave it out',
  },
  { pattern: /_auth(?:Toke[n])?\s*=/g, fix: 'holds a registry credential: remove it, and revoke it' },
]

/** Text that belongs to one machine and not into the repository. */
export function checkText(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(({ path, text }) =>
    FORBIDDEN.flatMap(({ pattern, fix }) =>
      [...text.matchAll(pattern)].map((match) => ({ file: path, line: lineAt(text, match.index), fix })),
    ),
  )
}

/** Addresses in a lockfile: they would send everybody to the registry of whoever wrote it. */
export function checkLockfile({ path, text }: SourceFile): Finding[] {
  const fix = 'holds an address: run `npm install` again, with omit-lockfile-registry-resolved=true as .npmrc has it'
  return [...text.matchAll(/"resolved":\s*"[a-z+]+:\/\//g)].map((match) => ({
    file: path,
    line: lineAt(text, match.index),
    fix,
  }))
}
