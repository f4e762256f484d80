const TRUST = 'Start this process with NODE_EXTRA_CA_CERTS=<file of the CA that signed it, in PEM>.'
const NAME = 'Name the host in the URL as its certificate does, or give the server one that has this name.'
const TIME = 'Renew it, or set the clock of this machine right.'

/** Codes of OpenSSL and Node, and what they say where a library passes on the text alone. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ALTNAME_INVALID|certificate's altnames/, NAME],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|certificate has expired|certificate is not yet valid/, TIME],
  [/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED|self-signed certificate|unable to (get|verify) /, TRUST],
]

/** What to do about a server's certificate that was refused; undefined where the error is about something else. */
export function certificateAdvice(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const said = `${(error as NodeJS.ErrnoException).code} ${error.message}`
  return ADVICE.find(([pattern]) => pattern.test(said))?.[1]
}
