// Runs before each test file (`setupFiles` of vitest.config.ts).
import { endFile } from '@millrace/testkit'
import { afterAll } from 'vitest'

afterAll(endFile)
