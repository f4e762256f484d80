import { DELIVERY_LIMITS, REQUEST_LIMITS, STORE_LIMITS } from '@millrace/contracts'
import { code, table } from './table.mjs'

const number = new Intl.NumberFormat('en')

export function limitsPage() {
  const rows = (limits) =>
    Object.values(limits).map(({ value, unit, of, past, variable }) => [
      of,
      `${number.format(value)}${unit === '' ? '' : ` ${unit}`}`,
      past,
      variable === undefined ? '' : code(variable),
    ])
  const columns = ['of', 'at most', 'past it', 'changed by']
  return `# Limits

What one client, one worker or one service may take, so that the others keep theirs. A variable is one of the
[environment](operations.md#environment); what has none is the same everywhere. Values of fields that are not here stand in the schema of
the route: \`GET /openapi.json\`.

## What comes in

${table(columns, rows(REQUEST_LIMITS))}
A client that sends slowly costs a connection for that long, and the memory of what it has sent. One that does not read its answer
holds the connection until nothing has moved for ten minutes; streams stop reading the log for it meanwhile.

### Requests a minute

Where [keys](access.md) are needed, each key or token has a quota at each process: with three dispatchers a key has three. What is left stands in every answer, as in the
draft of the IETF ([ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/)):

\`\`\`sh title="quota"
curl -si http://127.0.0.1:7401/queues?namespace=shop -H "authorization: Bearer $KEY"
\`\`\`

\`\`\`http title="headers"
ratelimit-policy: "key";q=300000;w=60
ratelimit: "key";r=299999;t=60
\`\`\`

\`q\` requests in \`w\` seconds, of which \`r\` are left until \`t\` seconds are over. Then it is 429 with \`Retry-After\`; the SDK waits and tries
again. A batch of 1,000 jobs is one request. Requests that show no valid key count for the address that they come from; a good
key is never held up by the bad ones beside it. Behind a proxy that address is the proxy's, unless
[\`MILLRACE_TRUSTED_PROXIES\`](operations.md#behind-a-proxy) names it.

## What is kept

${table(columns, rows(STORE_LIMITS))}
## What goes out

${table(columns, rows(DELIVERY_LIMITS))}
A worker that answers drop by drop costs one slot of its own queue until \`timeoutMs\`, and no more memory than a quick one.
`
}
