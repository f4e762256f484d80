/**
 * The audit app: a process of its own, `main.ts`. Other apps meet it through Redis and HTTP, so nothing is exported.
 *
 * ```sh
 * REDIS_URL=redis://127.0.0.1:6379 node apps/audit/src/main.ts
 * ```
 */
export {}
