import { trail } from './0001_trail.ts'
import { jobs } from './0002_jobs.ts'
import { erasure } from './0005_erasure.ts'
import { readModels } from './0010_read_models.ts'
import type { Scope } from './schema-builder.ts'

/** In the order in which they are applied. One that was merged never changes: another one follows it. */
export const MIGRATIONS: Readonly<Record<string, (scope: Scope) => Promise<void>>> = {
  '0001_trail': trail,
  '0002_jobs': jobs,
  '0005_erasure': erasure,
  '0010_read_models': readModels,
}
