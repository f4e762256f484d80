/** Headers by name, of the text that they are written as: each a line of its own, with its end. */
export function headersIn(lines: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines.split(/(?<=\r\n)/)) {
    const [, name, value] = /^([!-9;-~]+): ([^\r\n]*)\r\n$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`not the line of a header: ${JSON.stringify(line)}`)
    if (name in headers) throw new Error(`the header ${name} comes twice: ${JSON.stringify(lines)}`)
    headers[name] = value
  }
  return headers
}
