import { trace } from '@opentelemetry/api'
import { type Logger, pino, type SerializedError, stdSerializers, stdTimeFunctions } from 'pino'

export type { Logger }

// What makes lines readable is loaded for a terminal alone: 35 of the 1,000 ms in which an app starts.
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : undefined

/** JSON lines on a pipe or in a file; readable lines on a terminal. Secrets and payloads are never handed to it. */
export function createLogger({ app, level, traced = false }: { app: string; level: string; traced?: boolean }): Logger {
  const options = {
    level,
    base: { app },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    redact: { paths: ['req.headers.authorization', 'headers.authorization', 'headers.cookie'], censor: '[redacted]' },
    ...(traced && { mixin: spanOfLine }),
  }
  return pretty ? pino(options, pretty({ colorize: true, ignore: 'app', sync: true })) : pino(options)
}

/** What a Redis command failed with carries the command, and that carries payloads: its name is enough. */
function describeError(error: Error): object {
  const { command, ...described } = stdSerializers.err(error) as SerializedError & { command?: { name?: string } }
  return command?.name === undefined ? described : { ...described, command: command.name }
}

/** The span under which a line is written. One that has ended says nothing about what its callbacks left running. */
function spanOfLine(): Record<string, string> {
  const span = trace.getActiveSpan()
  if (!span?.isRecording()) return {}
  const { traceId, spanId } = span.spanContext()
  return { trace_id: traceId, span_id: spanId }
}
