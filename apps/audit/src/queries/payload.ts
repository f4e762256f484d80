import { type Expression, type RawBuilder, sql } from 'kysely'
import type { Database } from '../store/database.ts'

/**
 * A member of stored JSON as text: `"x"` as `x`, `42` as `42`, `true` as `true`; NULL where there is none, or where the
 * text is no JSON. `path` has names, and the places of lists as numbers in text.
 */
export function memberText(
  dialect: Database['dialect'],
  column: Expression<string | null>,
  path: readonly string[],
): RawBuilder<string | null> {
  if (dialect === 'postgres') return sql`millrace_json_text(${column}, ${path})`
  const place = `$${path.map((step) => (/^\d+$/.test(step) ? `[${step}]` : `."${step.replaceAll('"', '')}"`)).join('')}`
  return sql`CASE WHEN json_valid(${column}) THEN CASE json_type(${column}, ${place})
    WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(json_extract(${column}, ${place}) AS TEXT) END END`
}
