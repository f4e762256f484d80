import { KEY_CATALOGUE } from '@millrace/streams'
import { code, table } from './table.mjs'

export function redisKeysPage() {
  const rows = (prefix) =>
    KEY_CATALOGUE.filter(({ pattern }) => pattern.startsWith(prefix)).map(({ pattern, type, holds }) => [
      code(pattern),
      type,
      holds,
    ])
  return `# Redis keys

Everything that Millrace keeps in Redis, from \`packages/streams/src/keys.ts\`. \`{pN}\` is the tag of partition N: all keys of a
partition share it, so a script touches one hash slot. \`{reg}\` is the registry, which belongs to no partition. \`<queue>\` is a
queue's address: \`sync-record\` for a queue, \`schedule:nightly-sync\` for the ticks of a schedule,
\`subscription:orders\` for the events of a subscription. Why the layout is as it is:
[ARCHITECTURE.md](../ARCHITECTURE.md#the-layout-in-redis).

## In each partition

${table(['key', 'type', 'holds'], rows('{pN}'))}
## A consumer of your own

Any program that speaks Redis may read the log with a group of its own; events that services publish have the kind \`event\` and the whole
CloudEvent in \`data\`. The log is kept until each group has read it, so remove a group that is no longer used.

\`\`\`sh
redis-cli XGROUP CREATE '{p0}:log' my-consumer '$' MKSTREAM
redis-cli XREADGROUP GROUP my-consumer one COUNT 10 BLOCK 1000 STREAMS '{p0}:log' '>'
redis-cli XACK '{p0}:log' my-consumer 1795320000267-0
\`\`\`

Each entry is a list of pairs: kind and type, namespace and queue, then entity and data of each event, one or several. Read it as a list: as a
map it would lose what comes twice. [docs/events.md](events.md) has the rest. There are as many logs as partitions
(\`redis-cli HGET '{reg}:meta' partitions\`).

## In the registry

${table(['key', 'type', 'holds'], rows('{reg}'))}
## Payloads

Where a payload lies (\`data\` of lanes, lines and dead letters, the rest of a parked body, \`data\` at the end of \`job.enqueued\` and
\`job.updated\`) it is the JSON text as the producer sent it, or, when it has 4096 characters or more and gets shorter by it,

\`\`\`text
~zstd:<bytes of the text in UTF-8>:<base64 of a Zstandard frame, RFC 8878>
\`\`\`

No JSON text begins with \`~\`. \`cut -d: -f3 | base64 -d | zstd -d\` reads one. An event with such a payload is no valid JSON until it is
unpacked; \`readLogRange\` and \`createLogReader\` of \`@millrace/streams\` do that. Why: [0028](decisions/0028-large-payloads-are-packed.md).
`
}
