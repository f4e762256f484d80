/** A dashboard as we describe it; grafana/ makes Grafana's own model of it. */
export interface Dashboard {
  readonly uid: `millrace-${string}`
  readonly title: string
  readonly description: string
  readonly variables: readonly Variable[]
  readonly rows: readonly Row[]
}

/** A choice at the top of a dashboard; its values are those of a label. */
export interface Variable {
  readonly name: string
  readonly label: string
  /** `label_values(…)` of Grafana's Prometheus datasource. */
  readonly values: string
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

export interface Panel {
  readonly title: string
  /** What it shows and what to look for: Grafana shows it behind the (i). */
  readonly description: string
  readonly kind: 'lines' | 'bars' | 'number' | 'table'
  /** A unit of Grafana. */
  readonly unit: 's' | 'ops' | 'short' | 'percentunit' | 'bytes' | 'dateTimeAsIso' | 'bool_on_off'
  readonly targets: readonly Target[]
  /** Of 24 columns; 8 when it is not given. */
  readonly width?: number
}

export interface Target {
  readonly expr: string
  readonly legend: string
  /** Show the traces of single jobs as points. */
  readonly exemplars?: true
}

export const IN_QUEUE = ['namespace=~"$namespace"', 'queue=~"$queue"'] as const
export const IN_SCHEDULE = ['namespace=~"$namespace"', 'schedule=~"$schedule"'] as const

export const QUEUE_LEGEND = '{{namespace}}/{{queue}}'
export const SCHEDULE_LEGEND = '{{namespace}}/{{schedule}}'
