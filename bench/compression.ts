import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateRawSync,
  inflateRawSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'

/**
 * What compressing a payload saves in Redis and costs on the dispatcher's thread, by codec, level and size. The figures
 * behind the codec of `packages/streams/src/payload.ts`; `node bench/compression.ts` prints the table.
 */
const SIZES = [256, 512, 1024, 2048, 4096, 16_384, 65_536, 262_144]
const LEVELS = [1, 2, 3]
/** Long enough that one measurement is worth more than the noise of the clock. */
const MEASURE_MS = 150

interface Codec {
  readonly name: string
  compress(text: Buffer, level: number): Buffer
  decompress(data: Buffer): Buffer
}

const CODECS: readonly Codec[] = [
  {
    name: 'deflateRaw',
    compress: (text, level) => deflateRawSync(text, { level }),
    decompress: (data) => inflateRawSync(data),
  },
  {
    name: 'brotli',
    compress: (text, level) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: level } }),
    decompress: (data) => brotliDecompressSync(data),
  },
  {
    name: 'zstd',
    compress: (text, level) => zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: level } }),
    decompress: (data) => zstdDecompressSync(data),
  },
]

const WORDS =
  'order customer shipped address invoice amount refund status pending street premium delivery note item'.split(' ')

/** JSON as services send it: names that repeat, ids and amounts that do not, some words. */
function payload(size: number): string {
  let state = size
  const random = (n: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % n
  }
  const word = () => WORDS[random(WORDS.length)]
  const items: unknown[] = []
  let text = ''
  while (text.length < size) {
    items.push({
      id: `${random(2 ** 31).toString(16)}-${random(2 ** 31).toString(16)}`,
      amountCents: random(100_000),
      at: new Date(1_790_000_000_000 + random(10 ** 9)).toISOString(),
      email: `${word()}.${word()}${random(1000)}@example.com`,
      note: `${word()} ${word()} ${word()} ${word()}`,
    })
    text = JSON.stringify({ orderId: random(2 ** 31), items })
  }
  return text
}

/** Microseconds per call, the lowest of five rounds: what others do on the machine only ever adds. */
function microseconds(run: () => unknown): number {
  const rounds = Array.from({ length: 5 }, () => {
    let calls = 0
    const start = performance.now()
    while (performance.now() - start < MEASURE_MS / 5) {
      run()
      calls++
    }
    return ((performance.now() - start) * 1000) / calls
  })
  return Math.min(...rounds)
}

console.log('| payload | codec | level | binary | base64 | saved, base64 | compress µs | decompress µs |')
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
for (const size of SIZES) {
  const text = payload(size)
  for (const codec of CODECS) {
    for (const level of LEVELS) {
      const packed = codec.compress(Buffer.from(text), level)
      const base64 = packed.toString('base64')
      const compress = microseconds(() => codec.compress(Buffer.from(text), level).toString('base64'))
      const decompress = microseconds(() => codec.decompress(Buffer.from(base64, 'base64')).toString())
      const saved = Math.round((1 - base64.length / text.length) * 100)
      const cells = [
        text.length,
        codec.name,
        level,
        packed.length,
        base64.length,
        `${saved} %`,
        compress.toFixed(0),
        decompress.toFixed(0),
      ]
      console.log(`| ${cells.join(' | ')} |`)
    }
  }
}
