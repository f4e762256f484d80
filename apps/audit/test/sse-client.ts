import { eventually } from '@millrace/testkit'
import type { AuditApp } from './support.ts'

export interface Message {
  readonly id: string
  readonly event: string
  readonly data: string
}

/** A client as a browser's EventSource is one, without its reconnecting. */
export async function openStream(from: AuditApp, path: string, { seen }: { seen?: string | undefined } = {}) {
  const leaving = new AbortController()
  const response = await fetch(from.url + path, {
    headers: { accept: 'text/event-stream', ...(seen !== undefined && { 'last-event-id': seen }) },
    signal: leaving.signal,
  })
  const messages: Message[] = []
  const comments: string[] = []
  const read = async () => {
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + chunk).split('\n\n')
      text = blocks.pop() as string
      for (const block of blocks) {
        if (block.startsWith(':')) comments.push(block)
        else messages.push(toMessage(block))
      }
    }
  }
  const closed = response.status === 200 ? read().catch(() => undefined) : Promise.resolve()
  return {
    response,
    messages,
    comments,
    closed,
    leave: () => leaving.abort(),
    /** Resolves with the nth message. */
    message: (n: number) => eventually(() => messages[n - 1], { what: `message ${n}` }),
  }
}

function toMessage(block: string): Message {
  const fields = block.split('\n').map((line) => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)]
  })
  return Object.fromEntries(fields) as Message
}

export const dataOf = (message: Message) => JSON.parse(message.data) as Record<string, unknown>
