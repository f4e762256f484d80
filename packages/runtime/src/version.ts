import { readFileSync } from 'node:fs'

/** The version all rooms share; they are released together. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
