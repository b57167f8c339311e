// The primitives of Scuttlebutt on what Node.js brings, and XSalsa20-Poly1305, which it does not.

import crypto from 'node:crypto'

const P25519 = (1n << 255n) - 19n
const P1305 = (1n << 130n) - 5n
const R1305 = 0x0ffffffc0ffffffc0ffffffc0fffffffn
const DER = {
  ed25519: { public: '302a300506032b6570032100', secret: '302e020100300506032b657004220420' },
  x25519: { public: '302a300506032b656e032100', secret: '302e020100300506032b656e04220420' },
}

export const hex = (text) => Buffer.from(text, 'hex')
export const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest()
export const sha512 = (bytes) => crypto.createHash('sha512').update(bytes).digest()
export const auth = (key, bytes) => crypto.createHmac('sha512', key).update(bytes).digest().subarray(0, 32)
export const hmacSha256 = (key, bytes) => crypto.createHmac('sha256', key).update(bytes).digest()

const fromDer = (make, type, algorithm, raw) =>
  make({ key: Buffer.concat([hex(DER[algorithm][type]), raw]), format: 'der', type: type === 'public' ? 'spki' : 'pkcs8' })
const publicKey = (algorithm, raw) => fromDer(crypto.createPublicKey, 'public', algorithm, raw)
const secretKey = (algorithm, raw) => fromDer(crypto.createPrivateKey, 'secret', algorithm, raw)

export const sign = (seed, body) => crypto.sign(null, body, secretKey('ed25519', seed))
export const verifySignature = (key, body, signature) => crypto.verify(null, body, publicKey('ed25519', key), signature)
export const publicOf = (seed, algorithm = 'ed25519') =>
  crypto.createPublicKey(secretKey(algorithm, seed)).export({ format: 'der', type: 'spki' }).subarray(-32)
export const scalarmult = (secret, theirs) =>
  crypto.diffieHellman({ privateKey: secretKey('x25519', secret), publicKey: publicKey('x25519', theirs) })

const little = (bytes) => BigInt('0x' + (Buffer.from(bytes).reverse().toString('hex') || '0'))
const bytesOf = (number, length) => Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex').reverse()

function power(base, exponent, modulus) {
  let result = 1n
  for (; exponent; exponent >>= 1n, base = (base * base) % modulus) if (exponent & 1n) result = (result * base) % modulus
  return result
}

/** The X25519 form of an Ed25519 key: u = (1 + y) / (1 - y) (RFC 7748, 4.1). */
export function curvePublic(key) {
  const y = little(key) & ((1n << 255n) - 1n)
  return bytesOf(((1n + y) * power(P25519 + 1n - y, P25519 - 2n, P25519)) % P25519, 32)
}
export const curveSecret = (seed) => sha512(seed).subarray(0, 32)

function poly1305(key, bytes) {
  const r = little(key.subarray(0, 16)) & R1305
  let sum = 0n
  for (let at = 0; at < bytes.length; at += 16) {
    const block = bytes.subarray(at, at + 16)
    sum = ((sum + little(block) + (1n << BigInt(8 * block.length))) * r) % P1305
  }
  return bytesOf((sum + little(key.subarray(16, 32))) & ((1n << 128n) - 1n), 16)
}

const ROUND = [
  [4, 0, 12], [8, 4, 0], [12, 8, 4], [0, 12, 8], [9, 5, 1], [13, 9, 5], [1, 13, 9], [5, 1, 13],
  [14, 10, 6], [2, 14, 10], [6, 2, 14], [10, 6, 2], [3, 15, 11], [7, 3, 15], [11, 7, 3], [15, 11, 7],
  [1, 0, 3], [2, 1, 0], [3, 2, 1], [0, 3, 2], [6, 5, 4], [7, 6, 5], [4, 7, 6], [5, 4, 7],
  [11, 10, 9], [8, 11, 10], [9, 8, 11], [10, 9, 8], [12, 15, 14], [13, 12, 15], [14, 13, 12], [15, 14, 13],
]
const SHIFTS = [7, 9, 13, 18]
const SIGMA = Buffer.from('expand 32-byte k')

function salsaRounds(key, input) {
  const rows = [SIGMA.subarray(0, 4), key.subarray(0, 16), SIGMA.subarray(4, 8), input, SIGMA.subarray(8, 12), key.subarray(16), SIGMA.subarray(12)]
  const block = Buffer.concat(rows)
  const start = Uint32Array.from({ length: 16 }, (_, word) => block.readUInt32LE(4 * word))
  const words = start.slice()
  for (let round = 0; round < 10; round++) {
    ROUND.forEach(([to, one, two], step) => {
      const sum = (words[one] + words[two]) >>> 0
      const shift = SHIFTS[step % 4]
      words[to] ^= (sum << shift) | (sum >>> (32 - shift))
    })
  }
  return { start, words }
}

function hsalsa20(key, input) {
  const { words } = salsaRounds(key, input)
  return wordsOut([0, 5, 10, 15, 6, 7, 8, 9].map((word) => words[word]))
}

function wordsOut(words) {
  const out = Buffer.alloc(4 * words.length)
  words.forEach((word, index) => out.writeUInt32LE(word >>> 0, 4 * index))
  return out
}

function salsaStream(key, nonce, length) {
  const blocks = []
  for (let counter = 0; 64 * counter < length; counter++) {
    const { start, words } = salsaRounds(key, Buffer.concat([nonce, bytesOf(BigInt(counter), 8)]))
    blocks.push(wordsOut(Array.from(words, (word, index) => word + start[index])))
  }
  return Buffer.concat(blocks).subarray(0, length)
}

function keyStream(key, nonce, length) {
  return salsaStream(hsalsa20(key, nonce.subarray(0, 16)), nonce.subarray(16), 32 + length)
}

const xor = (bytes, stream) => Buffer.from(bytes.map((byte, index) => byte ^ stream[index]))

/** NaCl's crypto_secretbox: tag, then ciphertext. */
export function seal(key, nonce, message) {
  const stream = keyStream(key, nonce, message.length)
  const sealed = xor(message, stream.subarray(32))
  return Buffer.concat([poly1305(stream, sealed), sealed])
}

export function unseal(key, nonce, box) {
  const sealed = box.subarray(16)
  const stream = keyStream(key, nonce, sealed.length)
  if (!poly1305(stream, sealed).equals(box.subarray(0, 16))) throw new Error('the box does not open')
  return xor(sealed, stream.subarray(32))
}
