import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ALLOWED_LICENCES } from './allowed-licences.ts'
import { checkLicence } from './licence-expression.ts'
import type { LockedPackage } from './lockfile.ts'

export interface Finding {
  readonly code:
    | 'name_differs'
    | 'version_differs'
    | 'licence_missing'
    | 'licence_not_allowed'
    | 'licence_unreadable'
    | 'install_script'
    | 'install_script_not_locked'
  readonly detail: string
}

export interface Inspection {
  readonly licence: string | undefined
  readonly installScripts: readonly string[]
  /** Empty when everything is as it should be. */
  readonly findings: readonly Finding[]
}

/** The part of an installed `package.json` that is looked at. Other people write it, so nothing of it is certain. */
interface InstalledManifest {
  readonly name?: unknown
  readonly version?: unknown
  readonly license?: unknown
  readonly licenses?: unknown
  readonly scripts?: Readonly<Record<string, unknown>> | null
}

/**
 * Compares what is on disk with what is locked; undefined when there is nothing on disk.
 *
 * @throws when there is something that cannot be read, such as a manifest that an install is just writing.
 */
export async function inspectPackage(folder: string, locked: LockedPackage): Promise<Inspection | undefined> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(undefinedIfMissing)
  if (text === undefined) return undefined
  const manifest = JSON.parse(text) as InstalledManifest
  const licence = declaredLicence(manifest)
  const installScripts = declaredInstallScripts(manifest, await hasBindingGyp(folder))
  const findings = [
    ...identityFindings(manifest, locked),
    ...licenceFindings(licence),
    ...scriptFindings(installScripts, locked),
  ]
  return { licence, installScripts, findings }
}

function identityFindings({ name, version }: InstalledManifest, locked: LockedPackage): Finding[] {
  const findings: Finding[] = []
  if (name !== locked.name) findings.push({ code: 'name_differs', detail: `locked ${locked.name}, found ${name}` })
  if (version !== locked.version) {
    findings.push({ code: 'version_differs', detail: `locked ${locked.version}, found ${version}` })
  }
  return findings
}

function licenceFindings(licence: string | undefined): Finding[] {
  if (licence === undefined) return [{ code: 'licence_missing', detail: 'package.json declares no licence' }]
  const verdict = checkLicence(licence, ALLOWED_LICENCES)
  return verdict === 'allowed' ? [] : [{ code: `licence_${verdict}`, detail: licence }]
}

/** Code that runs at install time, before anybody has read it. The lockfile announces it; if it does not, that is worse. */
function scriptFindings(scripts: readonly string[], locked: LockedPackage): Finding[] {
  if (scripts.length === 0) return []
  const code = locked.hasInstallScript === true ? 'install_script' : 'install_script_not_locked'
  return [{ code, detail: scripts.join(', ') }]
}

/** `license` is an SPDX expression today; packages of long ago have `{type}` or a list `licenses`, of which any will do. */
function declaredLicence({ license, licenses }: InstalledManifest): string | undefined {
  const declared = Array.isArray(licenses) && license === undefined ? licenses : [license]
  const names = declared.map((item: unknown) => (isLegacyLicence(item) ? item.type : item))
  const expressions = names.filter((name) => typeof name === 'string' && name !== '')
  return expressions.length > 0 ? expressions.join(' OR ') : undefined
}

function isLegacyLicence(value: unknown): value is { readonly type: unknown } {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** npm builds a package that has a `binding.gyp` and no install script of its own, so that is one too. */
function declaredInstallScripts({ scripts }: InstalledManifest, hasGyp: boolean): string[] {
  const declared = ['preinstall', 'install', 'postinstall'].filter((name) => typeof scripts?.[name] === 'string')
  const isImplicit = hasGyp && !declared.includes('install') && !declared.includes('preinstall')
  return isImplicit ? [...declared, 'binding.gyp'] : declared
}

async function hasBindingGyp(folder: string): Promise<boolean> {
  return (await stat(join(folder, 'binding.gyp')).catch(undefinedIfMissing)) !== undefined
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
}
