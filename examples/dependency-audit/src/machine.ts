import type { LockEntry } from './lockfile.ts'

/** What npm compares with a package's `os`, `cpu` and `libc`. */
export interface Machine {
  readonly os: string
  readonly cpu: string
  /** `glibc` or `musl`, and on systems other than Linux nothing. */
  readonly libc: string | undefined
}

export function thisMachine(): Machine {
  return { os: process.platform, cpu: process.arch, libc: process.platform === 'linux' ? linuxLibc() : undefined }
}

/** By npm's rule: every list that is there must admit the machine; `!name` excludes, `any` admits all. */
export function fitsMachine(entry: Pick<LockEntry, 'os' | 'cpu' | 'libc'>, machine: Machine): boolean {
  return admits(entry.os, machine.os) && admits(entry.cpu, machine.cpu) && admits(entry.libc, machine.libc)
}

export function describeMachine({ os, cpu, libc }: Machine): string {
  return [os, cpu, libc].filter((part) => part !== undefined).join('/')
}

function admits(list: readonly string[] | undefined, value: string | undefined): boolean {
  if (list === undefined || list.length === 0 || (list.length === 1 && list[0] === 'any')) return true
  if (value !== undefined && list.includes(`!${value}`)) return false
  const admitted = list.filter((item) => !item.startsWith('!'))
  return admitted.length === 0 || (value !== undefined && admitted.includes(value))
}

/** Node states the glibc that it runs with in its report, and nothing when there is none; npm asks the same way. */
function linuxLibc(): string {
  // Otherwise the report looks up the name of every open connection's peer, which can take seconds.
  Object.assign(process.report, { excludeNetwork: true })
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}
