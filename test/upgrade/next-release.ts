import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SCOPE = '@millrace'

export interface Release {
  readonly version: string
  /** The file that starts an app. */
  main(app: string): URL
  remove(): void
}

export const THIS_RELEASE: Pick<Release, 'main'> = {
  main: (app) => new URL(`../../apps/${app}/src/main.ts`, import.meta.url),
}

/**
 * This tree again, as if it were the next release: another version, and scripts of which Redis has no copy, since each has
 * another text. Whatever is the same in both releases by accident would be tested by nothing.
 */
export function makeNextRelease(version: string): Release {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-next-'))
  for (const part of ['apps', 'packages']) cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  mkdirSync(join(folder, 'node_modules', SCOPE), { recursive: true })
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((each) => each !== SCOPE))
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  for (const file of globSync('{apps,packages}/*/package.json', { cwd: folder })) {
    const manifest = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { name: string; version: string }
    writeFileSync(join(folder, file), JSON.stringify({ ...manifest, version }))
    symlinkSync(join(folder, file, '..'), join(folder, 'node_modules', manifest.name))
  }
  for (const file of globSync('packages/streams/src/scripts/*.lua', { cwd: folder }))
    writeFileSync(join(folder, file), `${readFileSync(join(folder, file), 'utf8')}\n-- ${version}\n`)
  return {
    version,
    main: (app) => pathToFileURL(join(folder, 'apps', app, 'src', 'main.ts')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
