// What `npm audit --json` has said, apart from running it, so that a test can put any answer before it.

/**
 * Weaknesses that are known, found in a package that runs in production, and of no effect here: by the id of the advisory,
 * why. One that the registry no longer names is an error, so that the list does not outlive its reasons.
 * @type {Readonly<Record<string, string>>}
 */
export const EXPLAINED = {}

/**
 * An exit code alone cannot tell a registry that has no answer from one that has found something: npm's is 1 for both.
 *
 * @param {string} output what npm printed
 * @param {Readonly<Record<string, string>>} explained
 */
export function auditVerdict(output, explained) {
  const answer = parse(output)
  // Only a report has this; what npm prints of a request that failed has `message` and `error` instead.
  if (answer?.auditReportVersion !== 2) return { kind: 'no answer', reason: reasonOf(answer, output) }
  const found = advisories(answer)
  const ids = new Set(found.map(({ id }) => id))
  return {
    kind: 'answer',
    packages: answer.metadata.dependencies.prod,
    findings: found.filter(({ id }) => !(id in explained)),
    explained: found.filter(({ id }) => id in explained),
    stale: Object.keys(explained).filter((id) => !ids.has(id)),
  }
}

function parse(output) {
  try {
    return JSON.parse(output)
  } catch {
    return undefined
  }
}

/** Each advisory once: a package that is named only because it needs another one has that one's name in `via`. */
function advisories({ vulnerabilities }) {
  const all = Object.values(vulnerabilities).flatMap(({ via }) => via.filter((cause) => typeof cause === 'object'))
  const found = all.map(({ url, name, title, severity, range }) => {
    return { id: url.split('/').pop(), name, title, severity, range, url }
  })
  return [...new Map(found.map((advisory) => [`${advisory.id} ${advisory.name}`, advisory])).values()]
}

function reasonOf(answer, output) {
  const said = answer?.message || answer?.error?.summary || output.trim().split('\n')[0]
  return said || 'npm printed nothing'
}
