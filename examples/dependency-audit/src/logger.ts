export interface Logger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** JSON lines on stderr: stdout belongs to the one line that says where the service listens. */
export const stderrLogger: Logger = {
  info: (fields, message) => write('info', fields, message),
  warn: (fields, message) => write('warn', fields, message),
  error: (fields, message) => write('error', fields, message),
}

function write(level: string, fields: Readonly<Record<string, unknown>>, message: string): void {
  const line = { time: new Date().toISOString(), level, service: 'dependency-audit', message, ...fields }
  console.error(JSON.stringify(line, (_, value) => (value instanceof Error ? value.message : value)))
}
