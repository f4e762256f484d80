/** The one variable of the measurements: how many jobs go through Redis in `soak`. */
export function readSoakJobs(env: NodeJS.ProcessEnv = process.env): number {
  const text = env.BENCH_SOAK_JOBS || '2000000'
  const jobs = Number(text)
  if (!Number.isInteger(jobs) || jobs < 1000)
    throw new Error(`BENCH_SOAK_JOBS: expected a whole number of at least 1000 (got ${JSON.stringify(text)})`)
  return jobs
}
