/** What `LIKE` compares with. */
export interface LikePattern {
  test(text: string): boolean
}

type Part = { readonly kind: 'any' | 'one' } | { readonly kind: 'character'; readonly character: string }

/**
 * `%` stands for any characters, `_` for one; both for themselves behind a backslash.
 *
 * It takes at most as many steps as the text times the pattern has characters. A regular expression made of the pattern
 * takes hours for `'%a%a%a%a%a%a%a%'` and a long line of `a`, and would hold up the events of everybody.
 */
export function likePattern(pattern: string): LikePattern {
  const parts = partsOf(pattern)
  return { test: (text) => matches([...text], parts) }
}

function partsOf(pattern: string): Part[] {
  const parts = [...pattern.matchAll(/\\([%_])|[\s\S]/gu)].map(([text, escaped]): Part => {
    if (escaped !== undefined) return { kind: 'character', character: escaped }
    if (text === '%') return { kind: 'any' }
    return text === '_' ? { kind: 'one' } : { kind: 'character', character: text }
  })
  return parts
}

/** When what follows a `%` does not fit, that `%` takes one character more. Earlier ones need not be tried again. */
function matches(text: readonly string[], parts: readonly Part[]): boolean {
  let at = 0
  let part = 0
  let afterAny = -1
  let taken = 0
  while (at < text.length) {
    const current = parts[part]
    if (current?.kind === 'any') {
      afterAny = ++part
      taken = at
    } else if (current?.kind === 'one' || (current?.kind === 'character' && current.character === text[at])) {
      at++
      part++
    } else if (afterAny >= 0) {
      part = afterAny
      at = ++taken
    } else return false
  }
  return parts.slice(part).every(({ kind }) => kind === 'any')
}
