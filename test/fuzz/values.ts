/** Numbers that a seed repeats (mulberry32): the same seed makes the same requests. */
export interface Chance {
  /** 0 up to, and without, 1. */
  next(): number
  below(count: number): number
  of<Item>(items: readonly Item[]): Item
  /** True once in so many. */
  oneIn(count: number): boolean
}

export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (count: number) => Math.floor(next() * count)
  return {
    next,
    below,
    of: (items) => items[below(items.length)] as never,
    oneIn: (count) => below(count) === 0,
  }
}

/** A part of an OpenAPI document that says what a value may be. */
export interface ValueSchema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly ValueSchema[]
  readonly oneOf?: readonly ValueSchema[]
  readonly allOf?: readonly ValueSchema[]
  readonly properties?: Readonly<Record<string, ValueSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | ValueSchema
  readonly items?: ValueSchema
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

/** What has broken programs that read text. */
const HOSTILE_TEXTS = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    '\u202e',
    '\uffff',
    "'",
    '"',
    '\\',
    '`',
    '%',
    '%00',
    '%zz',
    '*',
    '*.*',
    '_',
    '{}',
  ],
  ...[
    '../../etc/passwd',
    "' OR 1=1 --",
    '"; FLUSHALL\r\n',
    'a\r\nx: y',
    '{{7*7}}',
    '<script>',
    '__proto__',
    'constructor',
  ],
  ...[
    'NaN',
    'Infinity',
    '-0',
    '1e400',
    '9007199254740993',
    '0x10',
    '1.5',
    '-1',
    '99999999999999999999',
    'null',
    'true',
  ],
  ...[
    '2026-13-45T99:99:99Z',
    '0000-00-00T00:00:00Z',
    '+275760-09-13T00:00:00Z',
    '2026-02-30T00:00:00.000+99:99',
    '@every 0s',
  ],
  ...[
    '((((((((((',
    '[[[[[[[[[[',
    '(a+)+$',
    '* * * * *',
    '*/0 * * * *',
    '0-0',
    '18446744073709551616-1',
    'job_',
    'evt_zzzz',
  ],
  ...['x'.repeat(300), 'é'.repeat(5000), '🦀'.repeat(200)],
]
const HOSTILE_NUMBERS = [0, -0, -1, 1, 0.5, 1e21, -1e308, 2 ** 31, 2 ** 53, 2 ** 63, 4_294_967_296]
const HOSTILE = [null, true, [], {}, [[]], [null], { a: { b: {} } }, ...HOSTILE_NUMBERS, ...HOSTILE_TEXTS] as const

/** Names that mean something at the place that is asked, by the name of the field. */
export type Known = Readonly<Record<string, readonly unknown[]>>

/** A value for a schema: mostly one that fits it, sometimes one that fits nothing. */
export function sampleOf(
  schema: ValueSchema,
  name: string,
  { chance, known }: { chance: Chance; known: Known },
): unknown {
  const make = (inner: ValueSchema, innerName = name) => sampleOf(inner, innerName, { chance, known })
  if (chance.oneIn(14)) return chance.of(HOSTILE)
  const meant = known[name]
  if (meant && chance.oneIn(2)) return chance.of(meant)
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return chance.of(schema.enum)
  const either = schema.anyOf ?? schema.oneOf
  if (either) return make(chance.of(either))
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((each) => make(each)))
  const type = typeof schema.type === 'string' ? schema.type : chance.of(schema.type ?? ['any'])
  switch (type) {
    case 'string':
      return textOf(schema, chance)
    case 'integer':
    case 'number':
      return numberOf(schema, chance)
    case 'boolean':
      return chance.oneIn(2)
    case 'null':
      return null
    case 'array':
      return Array.from({ length: chance.below(4) }, () => make(schema.items ?? {}))
    case 'object':
      return objectOf(schema, { chance, make })
    default:
      return chance.of(HOSTILE)
  }
}

function textOf({ format, minLength = 1, maxLength = 40 }: ValueSchema, chance: Chance): string {
  if (chance.oneIn(5)) return chance.of(HOSTILE_TEXTS)
  if (format === 'date-time') return new Date(1_790_000_000_000 + chance.below(2e9) - 1e9).toISOString()
  if (format === 'uri') return chance.of(['http://127.0.0.1:9/x', 'https://example.com', 'http://[::1]:1'])
  if (chance.oneIn(20)) return 'x'.repeat(maxLength + chance.below(2))
  const length = Math.min(maxLength, minLength + chance.below(12))
  return Array.from({ length }, () => chance.of(['a', 'b', 'z', '0', '9', '-', '.', '_'])).join('')
}

function numberOf({ minimum = -5, maximum = 1000 }: ValueSchema, chance: Chance): number {
  if (chance.oneIn(4)) return chance.of([minimum, maximum, minimum - 1, maximum + 1])
  return Math.floor(minimum + chance.next() * Math.min(maximum - minimum, 1000))
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: ValueSchema,
  { chance, make }: { chance: Chance; make(schema: ValueSchema, name: string): unknown },
): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(properties)) {
    const isAsked = required.includes(name) ? !chance.oneIn(25) : chance.oneIn(3)
    if (isAsked) object[name] = make(schema, name)
  }
  if (typeof additionalProperties === 'object' && chance.oneIn(2))
    object[chance.of(HOSTILE_TEXTS)] = make(additionalProperties, '')
  if (chance.oneIn(30)) object[chance.of(HOSTILE_TEXTS)] = chance.of(HOSTILE)
  return object
}
