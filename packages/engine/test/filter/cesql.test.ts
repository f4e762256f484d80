import { describe, expect, it } from 'vitest'
import { type Attributes, evaluateCesql } from '../../src/filter/cesql/evaluate.ts'
import { parseCesql } from '../../src/filter/cesql/parser.ts'
import { CesqlSyntaxError } from '../../src/filter/cesql/tokens.ts'

const EVENT: Attributes = {
  id: 'e-1',
  source: 'https://shop.example/orders',
  specversion: '1.0',
  type: 'order.paid',
  subject: 'order/7',
  sequence: '5',
  priority: 3,
  urgent: true,
  fraction: '50% off_now',
  // Longer than the standard advises, and yet an attribute.
  dataclassificationlevel: 'internal',
}

const evaluate = (expression: string, event: Attributes = EVENT) => evaluateCesql(parseCesql(expression), event)

type Row = readonly [expression: string, value: unknown, ...faults: string[]]

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  literals: [
    ['TRUE', true],
    ['false', false],
    ['0', 0],
    ['+12', 12],
    ['-2147483648', -2147483648],
    [`'a"b\\'c'`, `a"b'c`],
    [`"it's \\"here\\""`, `it's "here"`],
    [`'ab\\c'`, 'ab\\c'],
    ['((7))', 7],
  ],
  attributes: [
    ['type', 'order.paid'],
    ['priority', 3],
    ['urgent', true],
    ['EXISTS subject', true],
    ['dataclassificationlevel', 'internal'],
    ['exists nothing', false],
    ['nothing', '', 'missing_attribute'],
    ['nothing = ""', false, 'missing_attribute'],
    ['nothing != 2', false, 'missing_attribute'],
    ['NOT nothing', false, 'missing_attribute'],
    ['-nothing', 0, 'missing_attribute'],
    ['nothing / 0', 0, 'missing_attribute'],
    ["nothing LIKE '%'", false, 'missing_attribute'],
    ["nothing NOT LIKE 'a'", false, 'missing_attribute'],
    ['nothing IN (1, 2)', false, 'missing_attribute'],
    ['nothing NOT IN (1, 2)', false, 'missing_attribute'],
    ['LENGTH(nothing)', 0, 'missing_attribute'],
    ['UPPER(nothing)', '', 'missing_attribute'],
  ],
  'logic, with its short circuits': [
    ['TRUE AND FALSE', false],
    ['TRUE OR FALSE', true],
    ['TRUE XOR TRUE', false],
    ['FALSE XOR TRUE', true],
    ['FALSE AND (1 != 1 / 0)', false],
    ['TRUE OR (1 != 1 / 0)', true],
    ['TRUE AND (1 != 1 / 0)', false, 'math'],
    ['FALSE OR nothing', false, 'missing_attribute'],
    ['FALSE AND nothing', false],
    ["NOT 'TRUE'", false],
    ["NOT 'yes'", false, 'cast'],
    ['NOT 0', true],
  ],
  precedence: [
    ['4 * 2 + 4 / 2', 10],
    ['4 * (2 + 4) / 2', 12],
    ['10 - 3 - 2', 5],
    ['1 + 1 = 2', true],
    ['1 < 2 AND 2 < 3', true],
    ['TRUE OR FALSE AND FALSE', true],
    ['TRUE OR TRUE XOR TRUE', false],
    ['NOT FALSE = FALSE', false],
    ['NOT (FALSE = FALSE)', false],
    ['NOT FALSE AND FALSE', false],
    ['-1 + 3', 2],
    ['--10', 10],
    ["1 + 1 = 2 AND type LIKE 'order.%'", true],
    ["subject IN ('a') = FALSE", true],
  ],
  'whole numbers of 32 bits': [
    ['5 / 3', 1],
    ['-5 / 3', -1],
    ['-5 % 3', -2],
    ['5 % -3', 2],
    ['5 / 0', 0, 'math'],
    ['5 % 0', 0, 'math'],
    ['2147483647 + 1', 0, 'math'],
    ['-2147483648 - 1', 0, 'math'],
    ['65536 * 65536', 0, 'math'],
    ['-(-2147483648)', 0, 'math'],
    ['ABS(-2147483648)', 2147483647, 'math'],
    ['ABS(-3)', 3],
  ],
  'casts, the right operand of = deciding': [
    ["'5' + 3", 8],
    ['5 + TRUE', 6],
    ["-'10'", -10],
    ['sequence = 5', true],
    ["sequence < '10'", true],
    ["'TRUE' = TRUE", true],
    ["TRUE = 'TRUE'", false],
    ["TRUE = 'true'", true],
    ["'abc' = 1", false, 'cast'],
    ["'abc' < 1", false, 'cast'],
    ["'99999999999' = 1", false, 'cast'],
    ['INT("-1")', -1],
    ["INT('ABC')", 0, 'cast'],
    ["INT('1.5')", 0, 'cast'],
    ["BOOL('ABC')", false, 'cast'],
    ['BOOL(100)', true],
    ['BOOL("False")', false],
    ['STRING(TRUE)', 'true'],
    ['IS_INT("12")', true],
    ['IS_INT("twelve")', false],
    ['IS_BOOL("yes")', false],
    ['is_bool(1)', true],
  ],
  LIKE: [
    ["'abc' LIKE 'a%b%c'", true],
    ["'azbc' LIKE 'a_b_c'", false],
    ["'azbzc' LIKE 'a_b_c'", true],
    ["'abc' NOT LIKE 'abc'", false],
    ["fraction LIKE '50\\% off\\_now'", true],
    ["'50x offynow' LIKE '50\\% off\\_now'", false],
    ["'a.c' LIKE 'a.c'", true],
    ["'abc' LIKE 'a.c'", false],
    ["'a-b[1]' LIKE 'a-b[1]'", true],
    ["'ab\\c' LIKE 'ab\\c'", true],
    ["'line\nbreak' LIKE '%break'", true],
    ["'😀' LIKE '_'", true],
    ["2344 LIKE '23%'", true],
    ["TRUE LIKE 'tr%'", true],
  ],
  IN: [
    ["type IN ('order.paid', 'order.sent')", true],
    ["type NOT IN ('order.paid')", false],
    ['sequence IN (5, 6)', true],
    ["priority IN ('3')", true],
    ["priority IN ('three', 3)", true, 'cast'],
    ['1 IN (1 + 0)', true],
  ],
  functions: [
    ["LENGTH('abc')", 3],
    ["LENGTH('a😀')", 2],
    ['LENGTH(TRUE)', 4],
    ['CONCAT()', ''],
    ["CONCAT('a', 1, TRUE)", 'a1true'],
    ["CONCAT_WS(',', 'a', 'b')", 'a,b'],
    ["CONCAT_WS(',')", ''],
    ["lower('AbC')", 'abc'],
    ["Upper('AbC')", 'ABC'],
    ["TRIM('  a b ')", 'a b'],
    ["LEFT('abc', 2)", 'ab'],
    ["LEFT('abc', 10)", 'abc'],
    ["LEFT('abc', -1)", 'abc', 'function'],
    ["RIGHT('abc', 2)", 'bc'],
    ["RIGHT('abc', 0)", ''],
    ["RIGHT('abc', -1)", 'abc', 'function'],
    ["SUBSTRING('abcdef', 2)", 'bcdef'],
    ["SUBSTRING('Sakila', -3)", 'ila'],
    ["SUBSTRING('abcdef', 2, 4)", 'bcde'],
    ["SUBSTRING('Sakila', -5, 3)", 'aki'],
    ["SUBSTRING('abc', 0)", ''],
    ["SUBSTRING('abc', 4)", '', 'function'],
    ["SUBSTRING('abc', -4, 1)", '', 'function'],
    ["SUBSTRING('abc', 1, -1)", '', 'function'],
    ["SUBSTRING('abc', 2, 99)", 'bc'],
  ],
}

describe('CloudEvents SQL computes', () => {
  const rows = Object.entries(TABLES).flatMap(([topic, table]) => table.map((row) => [topic, ...row] as const))
  it.each(rows)('%s: %s', (_topic, expression, value, ...faults) => {
    expect(evaluate(expression as string)).toEqual({ value, faults })
  })

  it('as many operators as are allowed', () => {
    expect(evaluateCesql(parseCesql(`1${' + 1'.repeat(499)}`), {}).value).toBe(500)
  })

  it.each([
    ['%a%a%a%a%a%a%a%a%a%a%b', false],
    ['%a%a%a%a%a%a%a%a%a%a%', true],
    ['%_%_%_%_%_%_%_%_%_%_b', false],
  ])('LIKE %s of a long text in no time', (pattern, expected) => {
    const node = parseCesql(`subject LIKE '${pattern}'`)
    const startedAt = performance.now()
    expect(evaluateCesql(node, { subject: 'a'.repeat(4096) }).value).toBe(expected)
    // Milliseconds; as a regular expression it would go on for hours.
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })

  it.each([
    ['', '', true],
    ['%', '', true],
    ['_', '', false],
    ['_', '😀', true],
    ['a%c', 'abcbc', true],
    ['a%c%', 'abx', false],
    ['%b_', 'abab', false],
    ['%b_', 'ababa', true],
    ['100\\%', '100%', true],
    ['100\\%', '100x', false],
    ['a.c', 'abc', false],
    ['%\n', 'a\n', true],
  ])('LIKE %s of %s: %s', (pattern, subject, expected) => {
    expect(evaluateCesql(parseCesql(`subject LIKE '${pattern}'`), { subject }).value).toBe(expected)
  })

  it('keywords in any case, and attributes in lower case only', () => {
    expect(evaluate("type like 'order.%' and not (urgent = false)").value).toBe(true)
    expect(() => parseCesql('Type = 1')).toThrow('"Type" is no attribute')
  })
})

describe('CloudEvents SQL refuses, with the position', () => {
  it.each([
    ['', 'expected a value, got the end', 1],
    ['1 +', 'expected a value, got the end', 4],
    ['1 2', 'expected an operator or the end, got "2"', 3],
    ['(1', 'expected ")", got the end', 3],
    ["type = 'open", 'a string is not closed', 8],
    ['type & 1', '"&" means nothing here', 6],
    ['type LIKE subject', 'expected a string with the pattern, got "subject"', 11],
    ['EXISTS 5 + and', 'expected a value, got "and"', 12],
    ['EXISTS (id)', 'expected the name of an attribute, got "("', 8],
    ['id IN ()', 'expected a value', 9],
    ['id IN (1,)', 'expected a value, got ")"', 10],
    ['2147483648', '2147483648 does not fit into 32 bits', 1],
    ['-99999999999', '99999999999 does not fit into 32 bits', 2],
    ['FOO(1)', 'there is no function FOO', 1],
    ['1 = CONCAT_WS()', 'CONCAT_WS does not take 0 arguments', 5],
    ['LENGTH(1, 2)', 'LENGTH does not take 2 arguments', 1],
    ['data = 1', 'data is no attribute', 1],
    [`${'a'.repeat(65)} = 1`, 'names are 1 to 64', 1],
    ['a_b = 1', '"a_b" is no attribute', 1],
    ['NOT', 'expected a value, got the end', 4],
    ["'a' = AND", 'expected a value, got "AND"', 7],
    [`${'('.repeat(200)}1`, 'nests too deep', 101],
    [`${'-'.repeat(200)}x`, 'nests too deep', 101],
    [`1${' + 1'.repeat(100_000)}`, 'more than 1000 words and signs', 2001],
  ])('%s', (expression, message, position) => {
    const read = () => parseCesql(expression)
    expect(read).toThrow(CesqlSyntaxError)
    expect(read).toThrow(message)
    expect(read).toThrow(`at position ${position}`)
  })
})
