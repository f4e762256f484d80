import {
  labelNamesOf,
  METRICS_OF_APPS,
  OPEN_LABELS,
  OTHER,
  PROCESS_METRICS,
  wordsOf,
} from '../../packages/contracts/src/index.ts'
import { usesOfMetrics } from '../../packages/monitoring/src/index.ts'
import { code, table } from './table.mjs'

/** The catalogue of packages/contracts/src/metrics as a page. */
export function metricsPage() {
  const apps = Object.entries(METRICS_OF_APPS).map(
    ([app, { port, metrics }]) => `## ${app} (port ${port})\n\n${metricTable(metrics)}`,
  )
  return `# Metrics

\`GET /metrics\` of each app, in the text format of Prometheus, or in OpenMetrics for who accepts it: that one has exemplars, which lead
from a bucket of a histogram to the trace of one job in it. Every sample has the label \`app\`. Which of them to watch:
[operations.md](operations.md#what-to-watch). The last column of a table says which dashboards and alerts read the metric.

Labels are names from manifests and fixed words, never ids. In each process the first \`MILLRACE_METRICS_NAMES\` queues have series of
their own, and as many schedules and namespaces; all the others are shown together under the label value \`${OTHER}\`: counts and
histograms are added up, a gauge shows the sum, the largest or the earliest, as the table says. A queue that is closed makes room.

${apps.join('\n')}
## Every app

${metricTable(PROCESS_METRICS)}
Beside these each app has Node's own figures: \`process_*\` (CPU, memory, open files) and \`nodejs_*\` (event loop, heap, garbage
collection).

## Values of labels

${table(['label', 'of', 'values'], [...labelValues(), QUEUE_ROW, ...openRows()])}
## Buckets

Upper bounds, in the unit of the metric's name.

${table(['histogram', 'bounds'], bucketRows())}`
}

const QUEUE_ROW = [
  '`queue`',
  'all that have it',
  `the queue's address: \`sync-record\`, \`schedule:nightly-sync\`, \`subscription:orders\`; \`${OTHER}\` beyond the limit`,
]

const REST_TEXTS = { sum: 'sum', max: 'largest', earliest: 'earliest' }

function metricTable(metrics) {
  const rows = Object.values(metrics).map((metric) => {
    const { name, type, help, rest } = metric
    const labels = labelNamesOf(metric).map(code).join(', ') || '–'
    return [code(name), type, labels, help, rest ? REST_TEXTS[rest] : '–', watchersOf(name)]
  })
  return table(['name', 'type', 'labels', 'meaning', `as \`${OTHER}\``, 'read by'], rows)
}

const USES = usesOfMetrics()

function watchersOf(name) {
  const uses = USES.get(name) ?? []
  return uses
    .map((use) =>
      use.startsWith('millrace-') ? use.replace('millrace-', '') : `[${use}](operations.md#${use.toLowerCase()})`,
    )
    .join(', ')
}

function labelValues() {
  return allMetrics().flatMap(({ name, labels = {} }) =>
    Object.entries(labels).flatMap(([label, values]) => {
      if (!wordsOf(values)) return []
      const meanings = Array.isArray(values) ? {} : values
      const words = wordsOf(values).map((word) => wordText(word, meanings[word]))
      return [[code(label), code(name), words.join(', ')]]
    }),
  )
}

function wordText(word, meaning) {
  const text = word === '' ? 'empty' : code(word)
  return meaning ? `${text} (${meaning})` : text
}

function openRows() {
  return Object.entries(OPEN_LABELS).flatMap(([open, bound]) => {
    const metrics = allMetrics().filter(({ labels = {} }) => Object.values(labels).includes(open))
    const labels = new Set(
      metrics.flatMap(({ labels = {} }) => Object.keys(labels).filter((label) => labels[label] === open)),
    )
    return [[[...labels].map(code).join(', '), metrics.map(({ name }) => code(name)).join(', '), bound]]
  })
}

function bucketRows() {
  return allMetrics()
    .filter(({ buckets }) => buckets)
    .map(({ name, buckets }) => [code(name), buckets.join(' ')])
}

function allMetrics() {
  const all = [...Object.values(METRICS_OF_APPS).map(({ metrics }) => metrics), PROCESS_METRICS]
  return all.flatMap((metrics) => Object.values(metrics))
}
