// Private messages of the second kind (spec/private-messages.md, section 3).

import { curvePublic, curveSecret, hex, hmacSha256, publicOf, scalarmult, seal, sha256, unseal } from './primitives.mjs'

const ZERO_NONCE = Buffer.alloc(24)
const join = (...parts) => Buffer.concat(parts)
const bytesOf = (reference) => Buffer.from(reference.split('.')[0].slice(1), 'base64')

function listed(...items) {
  return join(
    ...items.map((item) => {
      const length = Buffer.alloc(2)
      length.writeUInt16LE(Buffer.byteLength(item))
      return join(length, Buffer.from(item))
    }),
  )
}

const expand = (key, info) => hmacSha256(key, join(info, Buffer.from([1])))

function deriveIn({ author, previous }) {
  const feed = join(Buffer.from([0, 0]), bytesOf(author))
  const message = join(Buffer.from([1, 0]), previous ? bytesOf(previous) : Buffer.alloc(32))
  return (key, ...labels) => expand(key, listed('envelope', feed, message, ...labels))
}

const xor = (one, other) => Buffer.from(one.map((byte, index) => byte ^ other[index]))

function make(vector) {
  const derive = deriveIn(vector)
  const messageKey = hex(vector.message_key)
  const readKey = derive(messageKey, 'read_key')
  const header = Buffer.alloc(16)
  header.writeUInt16LE(32 + 32 * vector.slots.length)
  const slots = vector.slots.map(({ key, scheme }) => xor(messageKey, derive(hex(key), 'slot_key', scheme)))
  return join(
    seal(derive(readKey, 'header_key'), ZERO_NONCE, header),
    ...slots,
    seal(derive(readKey, 'body_key'), ZERO_NONCE, Buffer.from(vector.plain)),
  )
}

function open(box, vector, place) {
  const derive = deriveIn(vector)
  const { key, scheme } = vector.slots[place]
  const slot = box.subarray(32 + 32 * place, 64 + 32 * place)
  const readKey = derive(xor(slot, derive(hex(key), 'slot_key', scheme)), 'read_key')
  const offset = unseal(derive(readKey, 'header_key'), ZERO_NONCE, box.subarray(0, 32)).readUInt16LE()
  return unseal(derive(readKey, 'body_key'), ZERO_NONCE, box.subarray(offset)).toString()
}

/** First the key of the specification, then that of ssb-box2, if it is another. */
function directKeys(mySeed, otherSeed) {
  const shared = scalarmult(curveSecret(hex(mySeed)), curvePublic(publicOf(hex(otherSeed))))
  const secret = hmacSha256(sha256(Buffer.from('envelope-dm-v1-extract-salt')), shared)
  const ends = [mySeed, otherSeed].map((seed) => {
    const key = publicOf(hex(seed))
    return join(Buffer.from([3, 0]), curvePublic(key), Buffer.from([0, 0]), key)
  })
  const orders = [[...ends].sort(Buffer.compare), [...ends].sort()]
  const keys = orders.map((order) => expand(secret, listed('envelope-ssb-dm-v1/key', ...order)))
  return [...new Set(keys.map((key) => key.toString('hex')))]
}

export function verify({ direct_keys: pairs, own_keys: own, boxes }, checks) {
  for (const { seeds, keys } of pairs) {
    checks.equal(directKeys(...seeds).join(), keys.join(), 'direct keys')
    checks.equal(directKeys(...[...seeds].reverse()).join(), keys.join(), 'direct keys, the other way')
  }
  for (const { seed, key } of own) {
    checks.equal(expand(hex(seed), Buffer.from('qbix/box2-own-key/1')).toString('hex'), key, 'own key')
  }
  for (const vector of boxes) {
    const box = make(vector)
    checks.equal(box.toString('hex'), vector.box, vector.what)
    checks.equal(`${box.toString('base64')}.box2`, vector.content, `${vector.what}: content`)
    vector.slots.forEach((_, place) => checks.equal(open(box, vector, place), vector.plain, vector.what))
    const elsewhere = { ...vector, previous: `%${Buffer.alloc(32, 1).toString('base64')}.sha256` }
    checks.refused(() => open(box, elsewhere, 0), `${vector.what}: in another place`)
  }
}
