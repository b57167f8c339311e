// JSON as V8 reads and writes it (spec/classic-feeds.md): the engine itself is the reference.

import { sha256 } from './primitives.mjs'

export function verify({ valid, invalid }, checks) {
  for (const { what, text, indented, compact, units, sha256: hash } of valid) {
    const value = JSON.parse(text)
    checks.equal(JSON.stringify(value, null, 2), indented, `${what}: indented`)
    checks.equal(JSON.stringify(value), compact, `${what}: compact`)
    checks.equal(indented.length, units, `${what}: units`)
    checks.equal(sha256(Buffer.from(indented, 'latin1')).toString('hex'), hash, `${what}: hash`)
  }
  for (const { what, text } of invalid) checks.refused(() => JSON.parse(text), what)
}
