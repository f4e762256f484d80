import { OTHER, SUBJECTS, type Subject } from '@millrace/contracts'

export type Labels = Readonly<Record<string, string | number>>

/**
 * Which queues, schedules and namespaces have series of their own: the first so many of each that are named. All the others
 * are shown together under `_other`, so that however much is declared, what Prometheus has to keep is bounded.
 *
 * A name keeps its place until it is forgotten, and one beyond the limit stays there, so that no series changes what it counts.
 */
export class Subjects {
  readonly #limit: number
  readonly #shown: Record<Subject, Set<string>> = { queue: new Set(), schedule: new Set(), namespace: new Set() }
  readonly #others: Record<Subject, Set<string>> = { queue: new Set(), schedule: new Set(), namespace: new Set() }

  constructor(limit: number) {
    this.#limit = limit
  }

  /** True when this subject has series of its own. */
  isShown(subject: Subject, labels: Labels): boolean {
    const [shown, others] = [this.#shown[subject], this.#others[subject]]
    const name = subjectName(subject, labels)
    if (shown.has(name)) return true
    if (others.has(name)) return false
    const hasRoom = shown.size < this.#limit
    const known = hasRoom ? shown : others
    known.add(name)
    return hasRoom
  }

  /** Its place is free for another. */
  forget(subject: Subject, labels: Labels): void {
    const name = subjectName(subject, labels)
    this.#shown[subject].delete(name)
    this.#others[subject].delete(name)
  }
}

/** A word for one subject; names of manifests have no space. */
export function subjectName(subject: Subject, labels: Labels): string {
  return SUBJECTS[subject].map((label) => labels[label]).join(' ')
}

/** The labels that a subject beyond the limit is shown under. */
export function otherLabels(subject: Subject, labels: Labels): Labels {
  const others = Object.fromEntries(SUBJECTS[subject].map((label) => [label, OTHER]))
  return { ...labels, ...others }
}
