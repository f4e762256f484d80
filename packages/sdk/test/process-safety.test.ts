import { freePort, startProcess } from '@millrace/testkit'
import { expect, it } from 'vitest'

it('never ends a process by an emit that nobody awaits, and lets it end by itself', async () => {
  const file = new URL('./unawaited-emits.ts', import.meta.url)
  const child = await startProcess({ file, args: [`http://127.0.0.1:${await freePort()}`] })
  expect(await child.exited).toEqual({ code: 0, signal: null })
  expect(child.output()).toBe('left with 0\n')
})
