/**
 * SPDX identifiers that a package may be under without anybody looking at it: permissive licences that ask for no more
 * than to keep a notice. A licence that is missing here is not forbidden; its packages are flagged, for a person to read
 * the terms once. MPL-2.0 is left out for that reason: it is fine to use and asks for changes to be published.
 */
export const ALLOWED_LICENCES: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
])
