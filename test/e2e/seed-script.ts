import type { IncomingHttpHeaders } from 'node:http'
import type { RequestHandler } from 'express'

/** One request to a handler under `/internal/`. */
export interface SeedDelivery {
  /** The last part of the path: the queue or the schedule. */
  readonly name: string
  readonly path: string
  readonly body: unknown
  readonly headers: IncomingHttpHeaders
  /** In ms since the epoch. */
  readonly at: number
  /** What the handler answered; undefined until the answer is out, which the caller may know a moment earlier. */
  status: number | undefined
  /** True when the caller left before the answer. */
  aborted: boolean
}

interface Rule {
  readonly kind: 'fail' | 'hang'
  /** Tries of each item that this holds for. */
  readonly first: number
}

/**
 * Stands for the business that the handlers call: what each worker does with an item, when it fails and when it hangs, and
 * what it has done. It outlives the server, as a service's database does.
 */
export class SeedScript {
  readonly #rules = new Map<string, Rule>()
  readonly #tries = new Map<string, number>()
  readonly #performed: { readonly name: string; readonly item: string }[] = []
  readonly #deliveries: SeedDelivery[] = []
  readonly #inFlight = new Map<string, { now: number; max: number }>()

  rule(name: string, rule: Rule): void {
    this.#rules.set(name, rule)
    for (const key of this.#tries.keys()) if (key.startsWith(`${name} `)) this.#tries.delete(key)
  }

  clear(name: string): void {
    this.#rules.delete(name)
  }

  /** The work itself: throws, never ends, or is done, as the rule for `name` says. */
  async perform(name: string, item: string): Promise<void> {
    const key = `${name} ${item}`
    const tries = (this.#tries.get(key) ?? 0) + 1
    this.#tries.set(key, tries)
    const rule = this.#rules.get(name)
    if (rule && tries <= rule.first) {
      if (rule.kind === 'fail') throw new Error(`${key} fails on try ${tries}, as scripted`)
      await new Promise<never>(() => {})
    }
    this.#performed.push({ name, item })
  }

  isPerformed(name: string, item: string): boolean {
    return this.performed(name).includes(item)
  }

  performed(name: string): string[] {
    return this.#performed.filter((work) => work.name === name).map((work) => work.item)
  }

  deliveries(name?: string): SeedDelivery[] {
    return this.#deliveries.filter((delivery) => name === undefined || delivery.name === name)
  }

  maxInFlight(name: string): number {
    return this.#inFlight.get(name)?.max ?? 0
  }

  /** Express middleware; goes after the body parser and before the handlers. */
  readonly record: RequestHandler = (req, res, next) => {
    const path = req.originalUrl
    const name = path.slice(path.lastIndexOf('/') + 1)
    const { body, headers } = req
    const delivery: SeedDelivery = { name, path, body, headers, at: Date.now(), status: undefined, aborted: false }
    this.#deliveries.push(delivery)
    const count = this.#inFlight.get(name) ?? { now: 0, max: 0 }
    this.#inFlight.set(name, count)
    count.max = Math.max(count.max, ++count.now)
    res.once('close', () => {
      count.now--
      if (res.writableFinished) delivery.status = res.statusCode
      else delivery.aborted = true
    })
    next()
  }
}
