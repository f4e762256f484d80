// Types of setup-plan.mjs for the tests; the scripts themselves are plain JavaScript.

export interface MachineFacts {
  readonly platform: string
  readonly osId: string
  readonly osIdLike: readonly string[]
  readonly isRoot: boolean
  readonly sudoNeedsNoPassword: boolean
  readonly hasAptGet: boolean
  /** The parts that are needed and not on this machine. */
  readonly missing: readonly Part[]
  readonly redisUrl: string | undefined
  /** True where a server elsewhere is as good: to start, not to test. */
  readonly redisUrlSuffices: boolean
}

export type Part = 'redis' | 'postgresql' | 'prometheus'

export type PartsPlan =
  | { readonly kind: 'nothing to do' }
  | {
      readonly kind: 'install'
      readonly prefix: readonly string[]
      readonly packages: readonly string[]
      /** Services that these packages bring along and that must not run. */
      readonly units: readonly string[]
    }
  | { readonly kind: 'stop'; readonly message: string }

type Dependencies = Readonly<Record<string, string>>

export interface Manifest {
  readonly dependencies?: Dependencies
  readonly devDependencies?: Dependencies
}

export interface Lockfile {
  readonly packages: Readonly<
    Record<string, Manifest & { readonly version?: string; readonly integrity?: string; readonly optional?: boolean }>
  >
}

export const OLDEST_NODE_MAJOR: number
export const PROJECT_NODE_MAJOR: number
export function nodeComplaint(version: string): string | undefined
export function majorOf(version: string): number
export function partsPlan(facts: MachineFacts): PartsPlan
export function missingMessage(facts: MachineFacts): string
export function parseOsRelease(text: string): { osId: string; osIdLike: string[] }
export function installReason(state: {
  readonly lock: Lockfile
  readonly installed: Lockfile | undefined
  readonly manifests: Readonly<Record<string, Manifest>>
}): string | undefined
export function npmFailureHint(output: string): string
