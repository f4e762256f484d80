import { certificateAdvice } from '@millrace/contracts/certificate-advice'
import { describe, expect, it } from 'vitest'

const errorOf = (code: string) => Object.assign(new Error('said otherwise'), { code })

describe('what to do about an error of a connection', () => {
  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /NODE_EXTRA_CA_CERTS/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /NODE_EXTRA_CA_CERTS/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /as its certificate does/],
    ['CERT_HAS_EXPIRED', /Renew it/],
    ['CERT_NOT_YET_VALID', /the clock/],
  ])('with the code %s', (code, advice) => {
    expect(certificateAdvice(errorOf(code))).toMatch(advice)
  })

  it('is not known where it was no certificate', () => {
    for (const error of [errorOf('ECONNREFUSED'), errorOf('ERR_SSL_WRONG_VERSION_NUMBER'), undefined, 'refused'])
      expect(certificateAdvice(error)).toBeUndefined()
  })
})
