import { type Logger, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'

export type { Logger }

/** JSON lines on a pipe or in a file; readable lines on a terminal. Secrets and payloads are never handed to it. */
export function createLogger({ app, level }: { app: string; level: string }): Logger {
  const options = {
    level,
    base: { app },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: ['req.headers.authorization', 'headers.authorization', 'headers.cookie'], censor: '[redacted]' },
  }
  return process.stdout.isTTY ? pino(options, pretty({ colorize: true, ignore: 'app', sync: true })) : pino(options)
}
