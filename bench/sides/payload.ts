/** What a job carries in most measures: an object of about 90 bytes as JSON, an id and a short text. */
export const DATA = { recordId: 'rec_0123456789', note: 'x'.repeat(60) }
