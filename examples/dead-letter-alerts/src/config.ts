export interface Config {
  readonly port: number
  /** Where the chat takes `{"text": …}`. */
  readonly chatUrl: string
}

/** @throws Error that names every variable that cannot be used, not only the first. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const port = Number(env.PORT || 7411)
  const chatUrl = env.CHAT_WEBHOOK_URL || 'http://127.0.0.1:9000/hook'
  const mistakes = [
    !(Number.isInteger(port) && port >= 0 && port <= 65_535) &&
      `PORT must be a number from 0 to 65535, got ${env.PORT}`,
    !(/^https?:\/\//.test(chatUrl) && URL.canParse(chatUrl)) &&
      `CHAT_WEBHOOK_URL must be an http or https URL, got ${chatUrl}`,
  ].filter((mistake) => mistake !== false)
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'))
  return Object.freeze({ port, chatUrl })
}
