// Private messages of the first kind (spec/private-messages.md, section 2).

import { curvePublic, curveSecret, hex, publicOf, scalarmult, seal, unseal } from './primitives.mjs'

const SLOTS_AT = 24 + 32
const SLOT_BYTES = 16 + 1 + 32

function make({ plain, reader_seeds: seeds, one_time_secret: secret, nonce, body_key: key }) {
  const slot = Buffer.concat([Buffer.from([seeds.length]), hex(key)])
  const slots = seeds.map((seed) =>
    seal(scalarmult(hex(secret), curvePublic(publicOf(hex(seed)))), hex(nonce), slot),
  )
  return Buffer.concat([hex(nonce), publicOf(hex(secret), 'x25519'), ...slots, seal(hex(key), hex(nonce), Buffer.from(plain))])
}

function open(box, seed) {
  const nonce = box.subarray(0, 24)
  const shared = scalarmult(curveSecret(hex(seed)), box.subarray(24, SLOTS_AT))
  for (let at = SLOTS_AT; at + SLOT_BYTES <= box.length; at += SLOT_BYTES) {
    let slot
    try {
      slot = unseal(shared, nonce, box.subarray(at, at + SLOT_BYTES))
    } catch {
      continue
    }
    return unseal(slot.subarray(1), nonce, box.subarray(SLOTS_AT + slot[0] * SLOT_BYTES)).toString()
  }
  throw new Error('not for this reader')
}

export function verify({ boxes }, checks) {
  for (const vector of boxes) {
    const box = make(vector)
    checks.equal(box.toString('hex'), vector.box, vector.what)
    checks.equal(`${box.toString('base64')}.box`, vector.content, `${vector.what}: content`)
    for (const seed of vector.reader_seeds) checks.equal(open(box, seed), vector.plain, vector.what)
    for (const seed of vector.others) checks.refused(() => open(box, seed), `${vector.what}: stranger`)
  }
}
