type Handlers = Readonly<Record<string, (argument: never) => unknown>>

/** Answer what the measurement asks over the channel (`ask` in child.ts); end with it. */
export function answerWith(handlers: Handlers): void {
  process.on('disconnect', () => process.exit())
  process.on('message', async (message) => {
    const { id, name, argument } = message as { id: number; name: string; argument: never }
    try {
      process.send?.({ id, answer: await handlers[name]?.(argument) })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.stack : String(error) })
    }
  })
}
