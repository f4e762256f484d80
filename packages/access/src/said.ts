/** A member of what may be an object, if it is text. */
export function textIn(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const member = (value as Record<string, unknown>)[name]
  return typeof member === 'string' ? member : undefined
}

/** The id of a subscription is `<namespace>.<name>`, and no namespace has a dot. */
export function subscriptionNamespace(id: string): string | undefined {
  const dot = id.indexOf('.')
  return dot > 0 ? id.slice(0, dot) : undefined
}
