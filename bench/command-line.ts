import { parseArgs } from 'node:util'
import type { Appendfsync, Measure } from './measure.ts'
import { MEASURES } from './measures.ts'

export interface Command {
  readonly measures: readonly Measure[]
  readonly appendfsync: readonly Appendfsync[]
  readonly quick: boolean
  readonly rounds: number
  readonly profile: boolean
  readonly help: boolean
  /** Where the results go. */
  readonly out: string | undefined
}

const APPENDFSYNC: readonly Appendfsync[] = ['always', 'everysec']

/** What `npm run bench -- …` asks for; throws an Error for people when it makes no sense. */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '1' },
      appendfsync: { type: 'string' },
      out: { type: 'string' },
    },
  })
  const profile = positionals.includes('profile')
  const names = positionals.filter((name) => name !== 'profile')
  if (profile && names.length > 0) throw new Error('profile stands alone: it is about the push measure.')
  const unknown = names.filter((name) => !MEASURES.some((measure) => measure.name === name))
  if (unknown.length > 0)
    throw new Error(
      `There is no measure ${unknown.join(', ')}. There are: ${MEASURES.map(({ name }) => name).join(', ')}`,
    )
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: expected a whole number of at least 1 (got ${values.rounds})`)
  const appendfsync = APPENDFSYNC.filter((each) => values.appendfsync === undefined || values.appendfsync === each)
  if (appendfsync.length === 0)
    throw new Error(`--appendfsync: expected ${APPENDFSYNC.join(' or ')} (got ${values.appendfsync})`)
  return {
    measures: MEASURES.filter(({ name }) => names.length === 0 || names.includes(name)),
    ...{ appendfsync, rounds, profile, quick: values.quick, help: values.help, out: values.out },
  }
}

export const HELP = `npm run bench -- [measure…] [options]

Measures Millrace beside its peers in one run. The ratios can be compared between machines, the figures cannot.
Without a name all measures run, which takes about half an hour; close what else needs the processor.

${MEASURES.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}
  profile        a processor profile of the dispatcher and the time of each Redis command, over the jobs of push

Options
  --rounds <n>          run each measure n times and print the round in the middle (1 unless told)
  --appendfsync <when>  always or everysec; both unless told
  --quick               few jobs: shows that the measures work, the figures mean nothing
  --out <file>          where the JSON goes; bench/results.json unless told
  --help                this page

Variables
  BENCH_SOAK_JOBS       jobs that go through Redis in soak; 2000000 unless told`
