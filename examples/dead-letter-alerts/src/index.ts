/**
 * Posts dead letters to a chat.
 *
 * ```ts
 * const service = await startService({ port: 7411, chatUrl: 'http://127.0.0.1:9000/hook' })
 * ```
 */
export { alertText, type PlatformEvent } from './alert-text.ts'
export { type Config, readConfig } from './config.ts'
export { type Service, startService } from './service.ts'
