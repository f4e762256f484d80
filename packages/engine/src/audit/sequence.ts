/**
 * Which numbers below a length were there, in any order: one bit each, so that a trail of a hundred million records
 * needs 12 MB.
 */
export function createSequence(length: number) {
  const bits = new Uint8Array(Math.ceil(length / 8))
  return {
    add(seq: number): void {
      if (seq >= 0 && seq < length) bits[seq >> 3] = (bits[seq >> 3] as number) | (1 << (seq & 7))
    },
    /** The lowest number that was not there. */
    firstGap(): number | undefined {
      const first = bits.findIndex((byte, index) => byte !== (index === length >> 3 ? (1 << (length & 7)) - 1 : 255))
      if (first < 0) return undefined
      for (let seq = first * 8; seq < length; seq++) if (!((bits[seq >> 3] as number) & (1 << (seq & 7)))) return seq
      return undefined
    },
  }
}
