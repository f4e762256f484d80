import type { StatedDurability } from '@millrace/contracts'

/** Rows as aligned columns, the header in the first; what does not fit a terminal is the terminal's to wrap. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Print a result: for people, or with --json as the API gave it. */
export function print(value: unknown, { json, text }: { json: boolean; text: string }): void {
  console.log(json ? JSON.stringify(value, null, 2) : text)
}

export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}

/** `fsync`, or `fsync, 2 replicas`. */
export function durabilityText({ durability, replicas = 0 }: StatedDurability): string {
  return replicas === 0 ? durability : `${durability}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`
}
