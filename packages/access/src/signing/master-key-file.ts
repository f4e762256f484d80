import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MASTER_KEY_BYTES, parseMasterKey } from './master-keys.ts'

/** For platforms on one machine that were given no master key: it is made once and kept here. */
export const MASTER_KEY_FILE = 'master.key'

/**
 * The master key in a data folder, made at the first start. Two processes that start at once get the same one.
 *
 * @throws Error when the folder cannot be written, or the file holds no key.
 */
export function masterKeyInFolder(folder: string): Buffer {
  const file = join(folder, MASTER_KEY_FILE)
  const text = readKey(file) ?? makeKey(folder, file)
  const key = parseMasterKey(text.trim())
  if (!key) throw new Error(`${file} holds no master key (64 hex digits). Put the key back that was there before.`)
  return key
}

function readKey(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written aside and linked: whoever reads it reads all of it, and of two who make it the first one wins. */
function makeKey(folder: string, file: string): string {
  mkdirSync(folder, { recursive: true })
  const aside = `${file}.${randomBytes(4).toString('hex')}`
  writeFileSync(aside, `${randomBytes(MASTER_KEY_BYTES).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(aside, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(aside)
  }
  return readFileSync(file, 'utf8')
}
