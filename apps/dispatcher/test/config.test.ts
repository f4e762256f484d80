import { expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'

it.each([
  ['', {}],
  ['ops:*', { ops: ['*'] }],
  [' ops:shop , billing:shop,ops:bank,', { ops: ['shop', 'bank'], billing: ['shop'] }],
  ['constructor:shop', { constructor: ['shop'] }],
])('reads the grants %j', (text, grants) => {
  expect(readConfig({ MILLRACE_EVENT_GRANTS: text }).MILLRACE_EVENT_GRANTS).toEqual(grants)
})

it.each(['ops', 'ops:', ':shop', '*:shop', 'ops:shop:bank', 'Ops:shop', 'ops=shop', 'ops:shop bank:shop'])(
  'refuses the grant %s, and says what one looks like',
  (text) => {
    expect(() => readConfig({ MILLRACE_EVENT_GRANTS: text })).toThrow(
      `MILLRACE_EVENT_GRANTS: expected pairs such as ops:*,billing:shop, got "${text}"`,
    )
  },
)
