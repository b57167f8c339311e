// Datagrams of the DHT (spec/dht.md 1, 3, 5): envelope, box and messages.

import { H, RECORD_BYTES_MAX, plain, readEndpoint } from './dht.mjs'
import { decode, encode } from './msgpack.mjs'
import { curvePublic, curveSecret, hex, publicOf, scalarmult, sha256, unseal } from './primitives.mjs'
import { array, bytes, demand, number } from './streams.mjs'

const HEADER = 98

function checkContacts(rows) {
  for (const row of array(rows, 'contacts', undefined, 20)) {
    const [key, ...endpoint] = array(row, 'contact', 3)
    bytes(key, 'key', 32)
    readEndpoint(endpoint, 'contact')
  }
}

function checkRecords([records, rows]) {
  for (const each of array(records, 'records', undefined, 8)) bytes(each, 'record', undefined, RECORD_BYTES_MAX)
  checkContacts(rows)
}

function checkWanted([key, signer]) {
  bytes(key, 'key', 32)
  if (signer !== null) bytes(signer, 'signer', 32)
}

const NOTHING = [0, () => {}]
const TALK = [1, ([data]) => bytes(data, 'data')]
const TYPES = {
  0x01: NOTHING,
  0x81: [2, (endpoint) => readEndpoint(endpoint, 'pong')],
  0x02: [1, ([target]) => bytes(target, 'target', 32)],
  0x82: [1, ([rows]) => checkContacts(rows)],
  0x03: [2, checkWanted],
  0x83: [2, checkRecords],
  0x04: [1, ([record]) => bytes(record, 'record', undefined, RECORD_BYTES_MAX)],
  0x84: [1, ([verdict]) => number(verdict, 'verdict', 0, 1)],
  0xff: NOTHING,
}

function checkMessage(type, body) {
  const request = type & 0x7f
  const form = TYPES[type] ?? (request >= 0x10 && request <= 0x7e ? TALK : undefined)
  demand(form, 'type')
  const [fields, check] = form
  check(array(decode(body), 'body', fields))
}

function readHeader(datagram) {
  demand(datagram.length >= HEADER && datagram.length <= 1280, 'size')
  demand(datagram[0] === 1, 'version')
  const type = datagram[1]
  demand(type === 0x80 ? datagram.length === HEADER : datagram.length > HEADER + 16, 'box')
  const part = (from, to) => plain(datagram.subarray(from, to))
  const asked = datagram.readBigUInt64BE(2)
  return { type, number: asked, sender: part(10, 42), recipient: part(42, 74), cookie: part(74, 90), salt: part(90, 98) }
}

function agree(mine, theirs) {
  const shared = scalarmult(curveSecret(mine), curvePublic(theirs))
  return H('qbix/dht-box/1\0', [shared, ...[publicOf(mine), theirs].sort(Buffer.compare)])
}

function open(datagram, shared, recipient) {
  const header = readHeader(datagram)
  demand(header.recipient === recipient.id, 'recipient')
  const nonce = sha256(datagram.subarray(0, HEADER)).subarray(0, 24)
  const body = unseal(shared, nonce, datagram.subarray(HEADER))
  checkMessage(header.type, body)
  return { header, body }
}

const distance = (one, other) => BigInt('0x' + one) ^ BigInt('0x' + other)

export function verify({ sender, recipient, shared, cookie, salt, cookie_answer: given, valid, invalid, closest }, checks) {
  for (const side of [sender, recipient]) checks.equal(plain(sha256(publicOf(hex(side.seed)))), side.id, 'id')
  const key = agree(hex(recipient.seed), publicOf(hex(sender.seed)))
  checks.equal(plain(key), shared, 'the key that is shared')
  checks.that(agree(hex(sender.seed), publicOf(hex(recipient.seed))).equals(key), 'the same from the other side')
  for (const vector of valid) {
    const { header, body } = open(hex(vector.hex), key, recipient)
    checks.equal(JSON.stringify(plain(decode(body))), JSON.stringify(vector.body), vector.what)
    checks.equal(`${header.type} ${header.number}`, `${vector.type} ${vector.number}`, `${vector.what}: header`)
    checks.equal(header.sender, plain(publicOf(hex(sender.seed))), `${vector.what}: sender`)
    checks.equal(header.cookie + header.salt, cookie + salt, `${vector.what}: cookie and salt`)
    checks.that(encode(decode(body)).equals(body), `${vector.what}: encoded again`)
  }
  for (const { rule, hex: datagram } of invalid) checks.refused(() => open(hex(datagram), key, recipient), rule)
  checks.equal(readHeader(hex(given)).type, 0x80, 'a cookie')
  const ids = closest.keys.map((each) => plain(sha256(hex(each))))
  const near = ids.sort((one, other) => (distance(one, closest.target) < distance(other, closest.target) ? -1 : 1))
  checks.equal(near.slice(0, closest.ids.length).join(), closest.ids.join(), 'the nearest')
}
