/** One line of the table: our figure, the figure it is compared with, and their ratio, all from one run. */
export interface Measurement {
  readonly what: string
  readonly ours: number
  readonly peer: number
  readonly peerName: string
  readonly unit: string
  readonly ratio: number
}

export interface Measure {
  readonly name: string
  run(options: { appendfsync: 'always' | 'everysec' }): Promise<Measurement>
}

export function compare(
  what: string,
  { ours, peer, peerName, unit }: Omit<Measurement, 'what' | 'ratio'>,
): Measurement {
  return {
    what,
    ours: Math.round(ours),
    peer: Math.round(peer),
    peerName,
    unit,
    ratio: Math.round((ours / peer) * 100) / 100,
  }
}
