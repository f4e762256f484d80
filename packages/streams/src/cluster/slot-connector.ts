import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { HostAndPort } from '@millrace/contracts'
import { AbstractConnector, type RedisOptions } from 'ioredis'

/** ioredis waits so long for the other end to close a connection before it is destroyed. */
const DISCONNECT_TIMEOUT_MS = 2000

type ConnectorClass = NonNullable<RedisOptions['Connector']>

/**
 * How a connection finds its server when it is made, and again each time it is made anew: it asks `find`. So a connection to the
 * primary of a slot is an ordinary one, with the rules of ordinary ones (nothing is sent twice, a dead one is noticed), and
 * follows its slot: a reply `MOVED` has it made anew (`reconnectOnError`).
 *
 * It never fails by itself, since ioredis would give up for good: where nobody listens, that is for the socket to say.
 */
export function connectorTo(
  find: () => Promise<HostAndPort>,
  { tls, mustBePrimary }: { tls: boolean; mustBePrimary: boolean },
): ConnectorClass {
  return class extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS)
    }

    override check(info: { role?: string }): boolean {
      return !mustBePrimary || info.role !== 'slave'
    }

    override async connect() {
      this.connecting = true
      const { host, port } = await find()
      // Closed meanwhile: from here on there is nobody who would close it.
      if (!this.connecting) throw new Error('Connection is closed.')
      const stream = tls ? connectTls({ host, port }) : connectTcp({ host, port })
      this.stream = stream
      stream.once('error', (error) => {
        this.firstError = error
      })
      return stream
    }
  }
}
