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

${table(['key', 'type', 'holds'], rows('{reg}'))}`
}
