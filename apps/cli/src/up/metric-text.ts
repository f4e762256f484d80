/** The sum of a metric's samples whose labels hold all the given ones, from the Prometheus text format. */
export function sumMetric(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !/[{ ]/.test(line[name.length] ?? '')) continue
    const matches = Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))
    if (matches) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
