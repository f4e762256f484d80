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
  /** How many more requests may go out there now. */
  room(place: Place): number
  /** Requests go out. */
  started(place: Place, count: number): void
  /** One came back; transitions that it caused are the answer. */
  ended(place: Place, result: AttemptResult): readonly Transition[]
  /** One came back that says nothing. */
  forgotten(place: Place): void
  /** Ms until a probe may go out, undefined while nothing is open. */
  probeInMs(place: Place): number | undefined
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
  // A target is asked about several times for each of its jobs, so its two circuits are found once.
  const found = new WeakMap<Place, readonly [origin: Circuit, endpoint: Circuit]>()
  const both = (place: Place): readonly [origin: Circuit, endpoint: Circuit] => {
    const known = found.get(place)
    if (known) return known
    const circuits = [circuitOf(place.origin), circuitOf(place.origin + place.path)] as const
    found.set(place, circuits)
    return circuits
  }

  return {
    room(place) {
      const [origin, endpoint] = both(place)
      return Math.min(roomOf(origin), roomOf(endpoint))
    },
    started(place, count) {
      for (const circuit of both(place)) circuit.underWay += count
    },
    ended(place, result) {
      const health = healthOf(result)
      const [origin, endpoint] = both(place)
      // What an endpoint makes of its requests is not its origin's fault.
      const ofOrigin = health === 'unhealthy' ? 'unknown' : health
      const first = step(origin, ofOrigin, 'origin', place)
      const second = step(endpoint, health === 'refused' ? 'unknown' : health, 'endpoint', place)
      if (!first && !second) return NOTHING_CHANGED
      return [first, second].filter((transition) => transition !== undefined)
    },
    forgotten(place) {
      for (const circuit of both(place)) circuit.underWay--
    },
    probeInMs(place) {
      const waits = both(place).flatMap(({ breaker }) =>
        breaker.kind === 'open' ? [breaker.untilMs - clock.now()] : [],
      )
      return waits.length === 0 ? undefined : Math.max(0, ...waits)
    },
  }

  function roomOf(circuit: Circuit): number {
    circuit.breaker = awaken(circuit.breaker, clock.now())
    return allowance(circuit.breaker) - circuit.underWay
  }

  function step(
    circuit: Circuit,
    health: ReturnType<typeof healthOf>,
    scope: Transition['scope'],
    place: Place,
  ): Transition | undefined {
    circuit.underWay--
    const before = circuit.breaker
    const after = observe(before, health, clock.now())
    circuit.breaker = after
    if (before.kind === 'closed' && after.kind === 'open')
      return { kind: 'opened', scope, place, sinceMs: after.sinceMs }
    if (before.kind === 'half_open' && after.kind === 'closed') return { kind: 'closed', scope, place }
    return undefined
  }
}
