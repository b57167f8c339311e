// Records of the DHT (spec/dht.md 8).

import { newer, plain, readRecord } from './dht.mjs'
import { hex } from './primitives.mjs'

export function verify(vectors, checks) {
  for (const { what, fields, key, hex: encoded } of vectors.valid) {
    const record = readRecord(hex(encoded))
    checks.equal(JSON.stringify(plain(record.row)), JSON.stringify(fields), `${what}: fields`)
    checks.equal(plain(record.key), key, `${what}: key`)
  }
  for (const { rule, hex: encoded } of vectors.invalid) checks.refused(() => readRecord(hex(encoded)), rule)
  for (const pair of vectors.newer) {
    const [one, other] = [readRecord(hex(pair.newer)), readRecord(hex(pair.older))]
    checks.that(newer(one, other) && !newer(other, one), 'which is newer')
  }
}
