/** For `startProcess({ preload })`: SIGWINCH moves the clock of that process, see `stepped-clock.ts`. */
export const STEPPED_CLOCK = new URL('./stepped-clock.ts', import.meta.url)
