import { CommandError } from './http.ts'
import { createProgram } from './program.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  if (
    !(error instanceof CommandError) &&
    (error as Error).name !== 'ConfigError' &&
    (error as Error).name !== 'StartError'
  )
    throw error
  console.error(`millrace: ${(error as Error).message}`)
  process.exitCode = 1
}
