import type { Entry } from '../recorder/batch.ts'
import type { TableAccess } from '../store/database.ts'
import type { JobRow } from '../store/schema.ts'
import { together } from '../store/together.ts'
import { foldJobs } from './jobs.ts'
import { MODEL_TABLES, openRows } from './rows.ts'
import { foldSchedules } from './schedules.ts'
import { foldSubscriptions } from './subscriptions.ts'

/**
 * Rises with every change of a fold that makes other rows from the same events. Read models that an older version made
 * are then made again from the records.
 */
export const READ_MODELS_VERSION = 1

/** Fold a batch, in the order of the log, into all read models. Returns the jobs that changed. */
export async function foldReadModels(access: TableAccess, entries: readonly Entry[]): Promise<JobRow[]> {
  const rows = openRows(access)
  await foldJobs(entries, rows)
  await foldSchedules(entries, rows)
  await foldSubscriptions(entries, rows)
  await together(MODEL_TABLES.map((name) => rows[name].save()))
  return rows.jobs.changed()
}
