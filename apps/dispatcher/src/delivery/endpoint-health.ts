import { type AttemptResult, allowance, awaken, type Breaker, CLOSED, healthOf, observe } from '@millrace/engine'
import type { Clock } from '@millrace/runtime'

/** What a breaker guards: a whole origin, or one endpoint of it. */
export interface Place {
  readonly origin: string
  readonly path: string
}

export interface Transition {
  readonly kind: 'opened' | 'closed'
  readonly scope: 'origin' | 'endpoint'
  readonly place: Place
  readonly sinceMs?: number
}

/**
 * The circuit breakers of one process. Each request is guarded twice: an origin that refuses connections stops all its
 * endpoints, an endpoint that gives no usable answers stops itself alone.
 */
export interface EndpointHealth {
  /** The two circuits of a place; to be kept, since a queue asks several times for each of its jobs. */
  of(place: Place): PlaceHealth
}

export interface PlaceHealth {
  /** How many more requests may go out there now. */
  room(): number
  /** A request goes out. */
  started(): void
  /** One came back; transitions that it caused are the answer. */
  ended(result: AttemptResult): readonly Transition[]
  /** One came back that says nothing. */
  forgotten(): void
  /** Ms until a probe may go out, undefined while nothing is open. */
  probeInMs(): number | undefined
}

const NOTHING_CHANGED: readonly Transition[] = []

interface Circuit {
  breaker: Breaker
  underWay: number
}

export function createEndpointHealth(clock: Clock): EndpointHealth {
  const circuits = new Map<string, Circuit>()
  const circuitOf = (key: string) => {
    const known = circuits.get(key)
    if (known) return known
    const circuit: Circuit = { breaker: CLOSED, underWay: 0 }
    circuits.set(key, circuit)
    return circuit
  }

  return {
    of(place) {
      const origin = circuitOf(place.origin)
      const endpoint = circuitOf(place.origin + place.path)
      return {
        room: () => Math.min(roomOf(origin), roomOf(endpoint)),
        started() {
          origin.underWay++
          endpoint.underWay++
        },
        ended(result) {
          const health = healthOf(result)
          // What an endpoint makes of its requests is not its origin's fault.
          const ofOrigin = health === 'unhealthy' ? 'unknown' : health
          const nowMs = clock.now()
          const first = step(origin, ofOrigin, { scope: 'origin', place, nowMs })
          const ofEndpoint = health === 'refused' ? 'unknown' : health
          const second = step(endpoint, ofEndpoint, { scope: 'endpoint', place, nowMs })
          if (!first && !second) return NOTHING_CHANGED
          return [first, second].filter((transition) => transition !== undefined)
        },
        forgotten() {
          origin.underWay--
          endpoint.underWay--
        },
        probeInMs() {
          const waits = [origin, endpoint].flatMap(({ breaker }) =>
            breaker.kind === 'open' ? [breaker.untilMs - clock.now()] : [],
          )
          return waits.length === 0 ? undefined : Math.max(0, ...waits)
        },
      }
    },
  }

  function roomOf(circuit: Circuit): number {
    // Asked several times for each job, and nearly always of a circuit that is closed.
    if (circuit.breaker.kind === 'open') circuit.breaker = awaken(circuit.breaker, clock.now())
    return allowance(circuit.breaker) - circuit.underWay
  }

  function step(
    circuit: Circuit,
    health: ReturnType<typeof healthOf>,
    { scope, place, nowMs }: Pick<Transition, 'scope' | 'place'> & { readonly nowMs: number },
  ): Transition | undefined {
    circuit.underWay--
    const before = circuit.breaker
    const after = observe(before, health, nowMs)
    circuit.breaker = after
    if (before.kind === 'closed' && after.kind === 'open')
      return { kind: 'opened', scope, place, sinceMs: after.sinceMs }
    if (before.kind === 'half_open' && after.kind === 'closed') return { kind: 'closed', scope, place }
    return undefined
  }
}
