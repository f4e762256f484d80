import { createMasterKeys, isGuarded, type MasterKeys, masterKeyInFolder } from '@millrace/access'
import { isLoopback, type Logger, StartError } from '@millrace/runtime'
import type { Config } from '../config.ts'
import type { Signer } from './signer.ts'

/**
 * The keys that signing secrets are kept under: those of the configuration; else, on a machine of one's own, one that is
 * made in the data folder. Where others can come in there may be other dispatchers, and a key that one of them makes for
 * itself would lock the others out.
 *
 * @throws StartError that says what to set.
 */
export function openMasterKeys(config: Config, logger: Pick<Logger, 'info'>): MasterKeys {
  const { MILLRACE_MASTER_KEY: given, MILLRACE_HOME: home, MILLRACE_HOST: host } = config
  if (given) return createMasterKeys(given)
  if (isGuarded(config) && !isLoopback(host)) throw new StartError(explain(`MILLRACE_HOST=${host} and`))
  try {
    const keys = createMasterKeys([masterKeyInFolder(home)])
    logger.info(
      { event: 'signing.key_file', folder: home, masterKey: keys.id },
      'signing with the key of the data folder',
    )
    return keys
  } catch (error) {
    throw new StartError(explain(`${error instanceof Error ? error.message : error};`), { cause: error })
  }
}

/** @throws StartError while there is a secret that none of this process's master keys opens: nobody else may be there to sign. */
export function refuseStrangeSecrets(signer: Pick<Signer, 'problem'>): void {
  const problem = signer.problem()
  if (problem === undefined) return
  throw new StartError(
    `Deliveries cannot be signed: ${problem}.\nPut the missing key into MILLRACE_MASTER_KEY; of several, with commas between them, the first one seals.`,
  )
}

function explain(why: string): string {
  return [
    `${why} no MILLRACE_MASTER_KEY is set, under which the secrets are kept that deliveries are signed with.`,
    'Make one with `openssl rand -hex 32`, keep it where your other secrets are, and give the same one to every dispatcher.',
  ].join('\n')
}
