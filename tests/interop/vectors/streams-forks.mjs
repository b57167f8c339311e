// Proofs of forks (spec/streams.md 6).

import { longHex } from './long-hex.mjs'
import { checkFork } from './streams.mjs'

export function verify({ valid, invalid }, checks) {
  for (const { what, hex, id, stream, forked_length: length } of valid) {
    const fork = checkFork(longHex(hex))
    checks.equal(fork.id.toString('hex'), id, `${what}: id`)
    checks.equal(fork.stream, stream, `${what}: stream`)
    checks.equal(fork.forkedLength, length, `${what}: forked length`)
  }
  for (const { rule, hex } of invalid) checks.refused(() => checkFork(longHex(hex)), rule)
}
