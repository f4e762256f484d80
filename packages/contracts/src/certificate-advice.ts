const TRUST = 'Start this process with NODE_EXTRA_CA_CERTS=<file of the CA that signed it, in PEM>.'
const NAME = 'Name the host in the URL as its certificate does, or give the server one that has this name.'
const TIME = 'Renew it, or set the clock of this machine right.'

/** By the codes that OpenSSL and Node have for it. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ALTNAME_INVALID/, NAME],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/, TIME],
  [/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED/, TRUST],
]

/** What to do about a server's certificate that was refused; undefined where the error is about something else. */
export function certificateAdvice(error: unknown): string | undefined {
  const code = String((error as NodeJS.ErrnoException | undefined)?.code)
  return ADVICE.find(([pattern]) => pattern.test(code))?.[1]
}
