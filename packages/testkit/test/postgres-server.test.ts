import { afterEach, describe, expect, it } from 'vitest'
import { isAlive } from '../src/dies-with-us.ts'
import { type PostgresServer, startPostgres } from '../src/index.ts'
import { findPostgresFolder } from '../src/server-binary.ts'

let server: PostgresServer | undefined

afterEach(async () => {
  await server?.stop()
  server = undefined
})

describe('startPostgres', () => {
  it('gives a database of its own to whoever asks, compared byte by byte', async () => {
    server = await startPostgres()
    const [one, two] = [await server.createDatabase(), await server.createDatabase()]
    expect(one).not.toBe(two)
    expect(server.sql('test_1', "SELECT 'Z' < 'a', current_setting('server_encoding')")).toBe('t|UTF8\n')
    expect(server.sql('test_1', 'SHOW listen_addresses')).toBe('\n')
  })

  it('keeps what was committed over a crash and a restart, and leaves no process behind', async () => {
    server = await startPostgres({ max_connections: '7' })
    server.sql('postgres', 'CREATE TABLE kept AS SELECT 42 AS answer')
    const { pid } = server
    await server.restart()
    expect(server.pid).not.toBe(pid)
    expect(server.sql('postgres', 'SELECT answer FROM kept')).toBe('42\n')
    expect(server.sql('postgres', 'SHOW max_connections')).toBe('7\n')
    const last = server.pid
    await server.stop()
    expect(isAlive(last)).toBe(false)
  })
})

describe('findPostgresFolder', () => {
  it('finds the programs of a server', () => {
    expect(findPostgresFolder()).toMatch(/^\//)
  })
})
