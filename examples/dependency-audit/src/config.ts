import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Config {
  readonly port: number
  readonly queueUrl: string
  readonly septorUrl: string
  readonly namespace: string
  /** Where Millrace asks for one: a key with the role producer in the namespace. */
  readonly apiKey?: string
  /** The lockfile to audit. What it locks is looked for beside it. */
  readonly lockfile: string
}

const OWN_LOCKFILE = fileURLToPath(new URL('../../../package-lock.json', import.meta.url))

/** @throws Error that names every variable that cannot be used, not only the first. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const config: Config = {
    port: Number(env.PORT || 7410),
    queueUrl: env.IEC_QUEUE_URL || 'http://127.0.0.1:7401',
    septorUrl: env.SEPTOR_URL || 'http://127.0.0.1:7403',
    namespace: env.SERVICE_NAMESPACE || 'dependency-audit',
    ...(env.MILLRACE_API_KEY && { apiKey: env.MILLRACE_API_KEY }),
    lockfile: resolve(env.LOCKFILE || OWN_LOCKFILE),
  }
  const mistakes = [
    !isPort(config.port) && `PORT must be a number from 0 to 65535, got ${env.PORT}`,
    !isHttpUrl(config.queueUrl) && `IEC_QUEUE_URL must be an http or https URL, got ${config.queueUrl}`,
    !isHttpUrl(config.septorUrl) && `SEPTOR_URL must be an http or https URL, got ${config.septorUrl}`,
  ].filter((mistake) => mistake !== false)
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'))
  return Object.freeze(config)
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 65_535
}

function isHttpUrl(value: string): boolean {
  return /^https?:\/\//.test(value) && URL.canParse(value)
}
