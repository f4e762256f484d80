/**
 * The dependency audit as a function, for tests and for programs that run it in their own process.
 *
 * ```ts
 * import { readConfig, startService } from '@millrace/example-dependency-audit'
 *
 * const service = await startService(readConfig())
 * console.log(service.url)
 * await service.close()
 * ```
 */
export { type Config, readConfig } from './config.ts'
export { type Service, startService } from './service.ts'
