import { z } from 'zod'

const whole = (expected: string) => z.coerce.number(expected).int().min(1)

/**
 * What OpenTelemetry's own variables say of traces, as far as we read them: without an endpoint there are none. The exporter
 * reads `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT` and `_COMPRESSION` itself, the resource `OTEL_SERVICE_NAME` and
 * `OTEL_RESOURCE_ATTRIBUTES`.
 */
export const tracingConfig = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .regex(/^https?:\/\//, 'expected an http URL, such as http://127.0.0.1:4318')
    .optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(['http/protobuf', 'http/json'], 'expected http/protobuf or http/json; gRPC is not there')
    .default('http/protobuf'),
  OTEL_TRACES_SAMPLER: z
    .enum([
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ])
    .default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number('expected a share from 0 to 1').min(0).max(1).default(1),
  // The defaults of the OpenTelemetry specification.
  OTEL_BSP_SCHEDULE_DELAY: whole('expected milliseconds').default(5000),
  OTEL_BSP_MAX_QUEUE_SIZE: whole('expected a number of spans').default(2048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: whole('expected a number of spans').default(512),
  OTEL_SDK_DISABLED: z.enum(['true', 'false'], 'expected true or false').default('false'),
} as const

export type TracingConfig = Readonly<z.infer<z.ZodObject<typeof tracingConfig>>>

/** Whether this process makes spans at all. */
export function isTraced({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED }: TracingConfig): boolean {
  return OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && OTEL_SDK_DISABLED === 'false'
}
