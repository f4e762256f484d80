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
queue's address: \`sync-record\` for a queue, \`schedule:nightly-sync\` for the ticks of a schedule. Why the layout is as it is:
[ARCHITECTURE.md](../ARCHITECTURE.md#the-layout-in-redis).

## In each partition

${table(['key', 'type', 'holds'], rows('{pN}'))}
## In the registry

${table(['key', 'type', 'holds'], rows('{reg}'))}
## Payloads

Where a payload lies (\`data\` of lanes, lines and dead letters, the rest of a parked body, \`data\` at the end of \`job.enqueued\` and
\`job.updated\`) it is the JSON text as the producer sent it, or, when it has 4096 characters or more and gets shorter by it,

\`\`\`text
~zstd:<bytes of the text in UTF-8>:<base64 of a Zstandard frame, RFC 8878>
\`\`\`

No JSON text begins with \`~\`. \`cut -d: -f3 | base64 -d | zstd -d\` reads one. An event with such a payload is no valid JSON until it is
unpacked; \`readLogRange\` and \`createLogReader\` of \`@millrace/streams\` do that. Why: [0041](decisions/0041-large-payloads-are-packed.md).
`
}
