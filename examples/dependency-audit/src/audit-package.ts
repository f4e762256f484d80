import { join } from 'node:path'
import { decideAbsence } from './absence.ts'
import { type Inspection, inspectPackage } from './inspect-package.ts'
import type { Lockfile } from './lockfile.ts'
import type { Machine } from './machine.ts'
import { neededPackages } from './needed-packages.ts'

/** What a job of the queue `audit-package` carries. */
export interface PackageJob {
  /** Which night: all jobs of one fan-out have the same. */
  readonly run: string
  readonly path: string
  readonly name: string
  readonly version: string
}

export type AuditOutcome =
  | { readonly kind: 'verified'; readonly inspection: Inspection }
  | { readonly kind: 'flagged'; readonly inspection: Inspection }
  | { readonly kind: 'skipped'; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }

export async function auditPackage(
  job: PackageJob,
  { attempt, lockfile, machine }: { attempt: number; lockfile: Lockfile; machine: Machine },
): Promise<AuditOutcome> {
  // The path comes from a request. Only one that is locked is ever turned into a file name.
  const locked = lockfile.packages.get(job.path)
  if (locked === undefined || locked.version !== job.version) {
    return { kind: 'skipped', why: 'the lockfile has changed since this run began and no longer holds this version' }
  }
  const inspection = await inspectPackage(join(lockfile.folder, job.path), locked)
  if (inspection) return { kind: inspection.findings.length === 0 ? 'verified' : 'flagged', inspection }

  const isNeeded = neededPackages(lockfile, machine).has(job.path)
  const { kind, why } = decideAbsence({ locked, attempt, machine, isNeeded })
  return { kind: kind === 'skip' ? 'skipped' : 'failed', why }
}
