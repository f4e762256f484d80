const ends: (() => Promise<void>)[] = []

/**
 * What a test file starts once, for all its tests, is stopped at its end. A hook beside it would not do: modules outlive the
 * file that loads them first, since files share their processes.
 */
export function atFileEnd(stop: () => Promise<void>): void {
  ends.push(stop)
}

/** Called by `test/set-up.ts` when the last test of a file is over. */
export async function endFile(): Promise<void> {
  for (const stop of ends.splice(0).toReversed()) await stop()
}
