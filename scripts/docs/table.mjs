/** A Markdown table; a bar in a cell would end the cell, so it is escaped. */
export function table(header, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line), ''].join('\n')
}

export function code(text) {
  return `\`${text}\``
}

/** What is to be said of each name: a name without words, or words without a name, is a mistake to repair here. */
export function wordsFor(what, names, words) {
  const missing = names.filter((name) => words[name] === undefined)
  const stale = Object.keys(words).filter((name) => !names.includes(name))
  if (missing.length > 0) throw new Error(`scripts/docs: say what these ${what} mean: ${missing.join(', ')}`)
  if (stale.length > 0) throw new Error(`scripts/docs: these ${what} are gone, remove them: ${stale.join(', ')}`)
  return (name) => words[name]
}
