import { z } from 'zod'
import { isPlatformEvent } from './events.ts'
import { timeSchema } from './jobs-api.ts'
import { STORE_LIMITS } from './limits.ts'
import { namespaceSchema } from './names.ts'

/** Media types of CloudEvents 1.0 in JSON. */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json'
export const CLOUD_EVENT_BATCH_TYPE = 'application/cloudevents-batch+json'

export const MAX_BATCH_EVENTS = STORE_LIMITS.batchEvents.value

/** Names of attributes; the standard says that they should be short, not that they must be. */
export const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/
export const ATTRIBUTE_NAMES = '1 to 64 of a-z and 0-9'
/** RFC 3986: the characters of a URI reference, with whole percent escapes. */
const URI_REFERENCE = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:./
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[^"]*"))*$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: CloudEvents 1.0, 3.2: its strings may not hold them.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

const text = (max: number) =>
  z
    .string()
    .max(max)
    .refine(
      (value) => !CONTROL.test(value) && value.isWellFormed(),
      'must not hold control characters or half surrogates',
    )
const filled = (max: number) => text(max).min(1, 'must not be empty')
/** An attribute that is null is one that is not there (JSON format, 2.1). */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema
    .nullish()
    .transform((value) => value ?? undefined)
    .optional()

const attributes = {
  specversion: z.literal('1.0', 'must be "1.0"'),
  id: filled(1024),
  source: filled(2048).regex(URI_REFERENCE, 'must be a URI reference, such as /shop/orders'),
  type: filled(255).refine(
    (type) => !isPlatformEvent(type),
    'is a type that only the platform itself publishes; choose another',
  ),
  subject: optional(filled(1024)),
  time: optional(timeSchema),
  datacontenttype: optional(filled(255).regex(MEDIA_TYPE, 'must be a media type, such as application/json')),
  dataschema: optional(
    filled(2048)
      .regex(URI_REFERENCE, 'must be an absolute URI')
      .regex(ABSOLUTE_URI, 'must be an absolute URI, with its scheme'),
  ),
}

const extension = z.union(
  [text(4096), z.boolean(), z.int32()],
  'must be a string, true or false, or a whole number of 32 bits',
)

/** Extensions that mean something here: by `partitionkey` events keep their order, so it has to be a key. */
const known = { partitionkey: optional(filled(1024)) }

/** One CloudEvent 1.0 in the JSON format, attributes and data. Extensions are what else there is. */
export const cloudEventSchema = z
  .object({ ...attributes, ...known, data: z.unknown().optional(), data_base64: optional(z.base64()) })
  .catchall(optional(extension))
  .check(({ value, issues }) => {
    for (const name of Object.keys(value)) {
      if (ATTRIBUTE_NAME.test(name) || name === 'data_base64') continue
      const message = `is no name of an attribute: ${ATTRIBUTE_NAMES}`
      issues.push({ code: 'custom', input: value, path: [name], message })
    }
    if (value.data !== undefined && value.data !== null && value.data_base64 !== undefined)
      issues.push({ code: 'custom', input: value, path: ['data_base64'], message: 'must not stand beside data' })
  })
export type CloudEvent = z.infer<typeof cloudEventSchema>

/** `POST /events` as people with curl write it. What a CloudEvent needs besides is filled in. */
export const publishRequestSchema = z.strictObject({
  namespace: namespaceSchema
    .optional()
    .describe('whose event it is; without it that of the service that declares its type, else default'),
  type: attributes.type,
  data: z.unknown().optional(),
  subject: filled(1024).optional().describe('what it is about; events of one subject keep their order'),
  source: attributes.source.optional().describe('without it /<namespace>'),
  id: filled(1024).optional().describe('the same source and id again is the same event; without it a new one'),
  time: timeSchema.optional().describe('when it happened; without it now'),
  partitionkey: filled(1024).optional().describe('events of one key keep their order, instead of those of one subject'),
})
export type PublishRequest = z.infer<typeof publishRequestSchema>
