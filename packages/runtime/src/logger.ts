import { trace } from '@opentelemetry/api'
import { type Logger, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'

export type { Logger }

/** JSON lines on a pipe or in a file; readable lines on a terminal. Secrets and payloads are never handed to it. */
export function createLogger({ app, level, traced = false }: { app: string; level: string; traced?: boolean }): Logger {
  const options = {
    level,
    base: { app },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: ['req.headers.authorization', 'headers.authorization', 'headers.cookie'], censor: '[redacted]' },
    ...(traced && { mixin: spanOfLine }),
  }
  return process.stdout.isTTY ? pino(options, pretty({ colorize: true, ignore: 'app', sync: true })) : pino(options)
}

/** The span under which a line is written. One that has ended says nothing about what its callbacks left running. */
function spanOfLine(): Record<string, string> {
  const span = trace.getActiveSpan()
  if (!span?.isRecording()) return {}
  const { traceId, spanId } = span.spanContext()
  return { trace_id: traceId, span_id: spanId }
}
