import { readFileSync } from 'node:fs'

/** The end of a log file, for a message about why its process ended. */
export function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
  } catch {
    return '(no log)'
  }
}
