import { readFile } from 'node:fs/promises'

export interface SeedManifestOptions {
  /** `metadata.name`, and so the namespace. */
  readonly name?: string
  readonly cron?: string
  /** Of every queue that states it. */
  readonly retries?: number
  /** Of every queue. */
  readonly retryDelayMs?: number
  /** Of every queue; the schedule keeps its own. */
  readonly timeoutMs?: number
}

/**
 * The text of `seed-catalog-info.yaml`, which is what a user has. A test changes numbers in it and nothing else, since with
 * the five seconds of a real retry it would take minutes.
 */
export async function seedManifest(options: SeedManifestOptions = {}): Promise<string> {
  const { name, cron, retries, retryDelayMs, timeoutMs } = options
  let text = await readFile(new URL('./seed-catalog-info.yaml', import.meta.url), 'utf8')
  const replace = (pattern: RegExp, value: string | number | undefined) => {
    if (value !== undefined) text = text.replaceAll(pattern, String(value))
  }
  replace(/(?<=^ {2}name: ).+$/gm, name)
  replace(/(?<=^ {6}cron: ").+(?="$)/gm, cron)
  replace(/(?<=^ {6}retries: )\d+$/gm, retries)
  replace(/(?<=^ {6}retryDelayMs: )\d+$/gm, retryDelayMs)
  replace(/(?<=^ {6}timeoutMs: )30000$/gm, timeoutMs)
  return text
}
