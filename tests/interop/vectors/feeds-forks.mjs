// Proofs that a classic feed was forked (spec/streams.md 6, form c).

import { read, signedByAuthor } from './feeds-messages.mjs'
import { decode } from './msgpack.mjs'
import { sha256 } from './primitives.mjs'

const BYTES_MAX = 64 * 1024

function demand(holds, rule) {
  if (!holds) throw new Error(rule)
}

function checkFork(bytes) {
  demand(bytes.length <= BYTES_MAX, 'too large')
  const row = decode(bytes)
  demand(Array.isArray(row) && row.length === 4 && row[0] === 1n && row[1] === 'c', 'form')
  const messages = row.slice(2).map((text) => {
    demand(typeof text === 'string', 'no text')
    const message = read(text)
    demand(message.encoded === text, 'not as it was signed')
    demand(signedByAuthor(message), 'signature')
    return message
  })
  const [one, other] = messages
  demand(one.author.equals(other.author) && one.sequence === other.sequence, 'two places')
  const ids = messages.map(({ id }) => Buffer.from(id.slice(1, -'.sha256'.length), 'base64'))
  demand(Buffer.compare(...ids) < 0, 'order')
  return { feed: `@${one.author.toString('base64')}.ed25519`, sequence: one.sequence, id: sha256(bytes) }
}

export function verify({ valid, invalid }, checks) {
  for (const { what, hex, id, feed, sequence } of valid) {
    const fork = checkFork(Buffer.from(hex, 'hex'))
    checks.equal(fork.id.toString('hex'), id, `${what}: id`)
    checks.equal(fork.feed, feed, `${what}: feed`)
    checks.equal(fork.sequence, sequence, `${what}: sequence`)
  }
  for (const { rule, hex } of invalid) checks.refused(() => checkFork(Buffer.from(hex, 'hex')), rule)
}
