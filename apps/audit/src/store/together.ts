/**
 * What is asked of a transaction at the same time: like `Promise.all`, but it rejects only when all of them have ended, with
 * the error that came first. Whoever went on after its transaction was rolled back would write outside of it, or into the
 * next one.
 */
export async function together<T extends readonly unknown[] | []>(
  works: T,
): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }> {
  let first: { readonly error: unknown } | undefined
  const noted = works.map((work) =>
    Promise.resolve(work).catch((error: unknown) => {
      first ??= { error }
    }),
  )
  const results = await Promise.all(noted)
  if (first) throw first.error
  return results as { -readonly [Index in keyof T]: Awaited<T[Index]> }
}
