import { CommandError } from '../http.ts'

/** JSON that somebody typed. `what` is how the command's help calls it. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandError(
      `${what} is not JSON: ${(error as Error).message}. Quote it for the shell, for example '{"recordId":"r1"}'.`,
    )
  }
}
