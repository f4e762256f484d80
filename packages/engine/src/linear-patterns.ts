import { RE2JS } from 're2js'

/**
 * Patterns of a JSON Schema, matched in time that grows with the text and never with a power of it.
 *
 * Node's own engine backtracks: `(a+)+$` on thirty letters takes it minutes, in which a dispatcher does nothing else. RE2
 * has no such patterns, because it has no lookarounds and back-references; those are refused when a manifest is applied.
 * What is left is a pattern's size times the text's length, so both are bounded.
 */
export interface LinearPatterns {
  /** For ajv, in the place of its `RegExp`. Throws when a pattern cannot be matched so. */
  readonly engine: PatternEngine
  /** Run a check with a budget of its own. Throws PatternBudgetError when it is used up. */
  within<Result>(check: () => Result): Result
}

interface PatternEngine {
  (pattern: string, flags: string): { test(text: string): boolean }
  /** How generated code would call it, which is never written anywhere. */
  code: string
}

/** Thrown out of a check whose texts are too long for the patterns of its schema. */
export class PatternBudgetError extends Error {}

/** Instructions of one pattern. A UUID has 40, a time of RFC 3339 has 39, a list of a hundred country codes 303. */
const MAX_INSTRUCTIONS = 1000
/**
 * Instructions times characters that one event may cost. As many UUIDs as fit into 256 KiB, the usual limit of an event, need
 * 9.7 million. Usual patterns take one to four nanoseconds a step, the worst of eight that were tried took 53: half a second.
 */
const MAX_STEPS = 12_000_000

export function createLinearPatterns(): LinearPatterns {
  // What ajv matches while it compiles are its own words, not an event's.
  let stepsLeft = Number.POSITIVE_INFINITY
  const toMatcher = (pattern: string, flags: string) => {
    // Whoever reads the schema elsewhere takes it for a pattern of JavaScript, so it has to be one as well.
    new RegExp(pattern, flags)
    const compiled = compile(pattern)
    const instructions = compiled.programSize()
    if (instructions > MAX_INSTRUCTIONS)
      throw new Error(`pattern "${pattern}" is too large: ${instructions} instructions, of ${MAX_INSTRUCTIONS} at most`)
    return {
      test(text: string) {
        stepsLeft -= instructions * text.length
        if (stepsLeft < 0) throw new PatternBudgetError()
        return compiled.test(text)
      },
      // By this ajv tells one pattern from another.
      toString: () => pattern,
    }
  }
  return {
    engine: Object.assign(toMatcher, { code: 'linearPattern' }),
    within(check) {
      stepsLeft = MAX_STEPS
      return check()
    },
  }
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern))
  } catch (error) {
    throw new Error(
      `pattern "${pattern}" cannot be matched in linear time (RE2): ${(error as Error).message}. Lookarounds, back-references and counts above 1000 are not there`,
      { cause: error },
    )
  }
}
