export interface MetricSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The samples of a text in Prometheus's format. Labels of ours hold no quotes. */
export function readMetrics(text: string): MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? []
    if (name === undefined) return []
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', said = '']) => [label, said])
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
  })
}

export function valuesOf(samples: readonly MetricSample[], name: string): number[] {
  return samples.filter((sample) => sample.name === name).map(({ value }) => value)
}
