import { expect, it } from 'vitest'
import { backoffMs } from '../src/backoff.ts'

const backoff = { baseMs: 200, maxMs: 10_000 }

it.each([
  { attempt: 1, least: 100, most: 200 },
  { attempt: 2, least: 200, most: 400 },
  { attempt: 6, least: 3_200, most: 6_400 },
  { attempt: 7, least: 5_000, most: 10_000 },
  { attempt: 5_000, least: 5_000, most: 10_000 },
])('waits $least to $most ms after attempt $attempt', ({ attempt, least, most }) => {
  expect(backoffMs(attempt, backoff, () => 0)).toBe(least)
  expect(backoffMs(attempt, backoff, () => 1)).toBe(most)
})
