// Box stream: a sealed header of length and tag, then the body it speaks of (scuttlebutt protocol guide).

import { hex, seal, unseal } from './primitives.mjs'

const TAG = 16
const HEADER = 34
const BODY_MAX = 4096
const GOODBYE = Buffer.alloc(18)

/** 24 bytes, big-endian, one up each time; after the last comes zero. */
class Nonces {
  constructor(first) {
    this.count = BigInt('0x' + first)
  }

  next() {
    const nonce = hex(this.count.toString(16).padStart(48, '0'))
    this.count = BigInt.asUintN(192, this.count + 1n)
    return nonce
  }
}

function sealBox(key, nonces, body) {
  const header = nonces.next()
  const sealed = seal(key, nonces.next(), body)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  const sealedHeader = seal(key, header, Buffer.concat([length, sealed.subarray(0, TAG)]))
  return Buffer.concat([sealedHeader, sealed.subarray(TAG)])
}

function sealAll(key, nonces, bytes) {
  const boxes = []
  for (let at = 0; at < bytes.length; at += BODY_MAX) boxes.push(sealBox(key, nonces, bytes.subarray(at, at + BODY_MAX)))
  return Buffer.concat(boxes)
}

/** The bodies of all boxes, and whether a goodbye ended them. */
function openAll(key, nonces, boxes) {
  const bodies = []
  let at = 0
  while (at < boxes.length) {
    const header = unseal(key, nonces.next(), boxes.subarray(at, at + HEADER))
    if (header.equals(GOODBYE)) return { bytes: Buffer.concat(bodies), ended: at + HEADER === boxes.length }
    const end = at + HEADER + header.readUInt16BE()
    bodies.push(unseal(key, nonces.next(), Buffer.concat([header.subarray(2), boxes.subarray(at + HEADER, end)])))
    at = end
  }
  return { bytes: Buffer.concat(bodies), ended: false }
}

export function verify({ streams }, checks) {
  for (const { what, key, nonce, plain, sealed, goodbye } of streams) {
    const sealing = new Nonces(nonce)
    plain.forEach((body, index) => {
      checks.equal(sealAll(hex(key), sealing, hex(body)).toString('hex'), sealed[index], `${what}: sealed ${index}`)
    })
    checks.equal(seal(hex(key), sealing.next(), GOODBYE).toString('hex'), goodbye, `${what}: goodbye`)
    const { bytes, ended } = openAll(hex(key), new Nonces(nonce), hex(sealed.join('') + goodbye))
    checks.equal(bytes.toString('hex'), plain.join(''), `${what}: opened`)
    checks.that(ended, `${what}: does not end with its goodbye`)
  }
}
