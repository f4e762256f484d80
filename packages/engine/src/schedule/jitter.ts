import { createHash } from 'node:crypto'

/**
 * How much later than its nominal time a tick fires, ms: the same for every scheduler that asks, spread evenly below the
 * bound, and never so much that the next nominal time comes first.
 */
export function jitterOf(
  address: string,
  { nominalMs, nextMs, jitterMs }: { nominalMs: number; nextMs: number | undefined; jitterMs: number },
): number {
  const room = nextMs === undefined ? jitterMs : Math.min(jitterMs, nextMs - nominalMs - 1)
  if (room <= 0) return 0
  const hash = createHash('sha256').update(`${address}@${nominalMs}`).digest().readUInt32BE(0)
  return Math.floor((hash / 2 ** 32) * (room + 1))
}
