export type Verdict = 'intact' | 'tampered' | 'unverifiable' | 'never recorded'

/** What each verdict prints first, and its exit code, so that scripts can tell them apart. */
export const VERDICTS: Readonly<Record<Verdict, { readonly says: string; readonly exitCode: number }>> = {
  intact: { says: 'intact', exitCode: 0 },
  tampered: { says: 'TAMPERED', exitCode: 1 },
  unverifiable: { says: 'UNVERIFIABLE', exitCode: 2 },
  'never recorded': { says: 'never recorded', exitCode: 3 },
}

export interface Verified {
  readonly verdict: Verdict
  readonly answer: unknown
  readonly lines: readonly string[]
}
