// Classic messages (spec/classic-feeds.md): a validator that follows the page, and what it says.

import { auth, publicOf, hex, sha256, verifySignature } from './primitives.mjs'

const ORDERS = ['previous,sequence,author,', 'previous,author,sequence,'].map(
  (first) => first + 'timestamp,hash,content,signature',
)
const UNITS_MAX = 8192

function demand(holds, rule) {
  if (!holds) throw new Error(rule)
}

/** The bytes of canonical base64, or null. */
function base64(text, length) {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text && (length === undefined || bytes.length === length) ? bytes : null
}

function between(text, start, end, length) {
  demand(typeof text === 'string' && text.startsWith(start) && text.endsWith(end), `${start}...${end}`)
  const bytes = base64(text.slice(start.length, text.length - end.length), length)
  demand(bytes, 'not canonical base64')
  return bytes
}

function checkContent(content) {
  if (typeof content === 'string') {
    const sealed = /^([^.]*)\.box.*$/.exec(content)
    demand(sealed && base64(sealed[1]), 'not sealed')
    return
  }
  demand(content && typeof content === 'object' && !Array.isArray(content), 'no object')
  const { type } = content
  demand(typeof type === 'string' && type.length >= 3 && type.length <= 52, 'type')
}

/** What is valid by itself, section 3. */
export function read(text) {
  const value = JSON.parse(text)
  demand(value && typeof value === 'object' && ORDERS.includes(Object.keys(value).join()), 'fields')
  const { sequence, timestamp, previous } = value
  demand(Number.isSafeInteger(sequence) && sequence >= 1, 'sequence')
  demand(typeof timestamp === 'number' && Number.isFinite(timestamp), 'timestamp')
  demand(value.hash === 'sha256', 'hash')
  checkContent(value.content)
  const author = between(value.author, '@', '.ed25519', 32)
  const signature = between(value.signature, '', '.sig.ed25519', 64)
  if (sequence === 1) demand(previous === null, 'previous')
  else between(previous, '%', '.sha256', 32)
  const encoded = JSON.stringify(value, null, 2)
  demand(encoded.length <= UNITS_MAX, 'length')
  const id = `%${sha256(Buffer.from(encoded, 'latin1')).toString('base64')}.sha256`
  delete value.signature
  return { author, sequence, previous, signature, id, encoded, signed: JSON.stringify(value, null, 2) }
}

function validate({ message: text, head, hmac_key: network }) {
  const message = read(text)
  demand(message.sequence === (head ? head.sequence + 1 : 1), 'not the next')
  demand(message.previous === (head ? head.id : null), 'another previous')
  const body = network ? auth(base64(network), Buffer.from(message.signed)) : Buffer.from(message.signed)
  demand(verifySignature(message.author, body, message.signature), 'signature')
  return message
}

export const signedByAuthor = ({ author, signed, signature }) => verifySignature(author, Buffer.from(signed), signature)

/** Section 8: two valid messages of one author and sequence with different ids. */
function isFork(texts) {
  const [one, other] = texts.map(read)
  demand(one.author.equals(other.author) && one.sequence === other.sequence, 'two places')
  demand(one.id !== other.id, 'one message')
  demand(signedByAuthor(one) && signedByAuthor(other), 'signature')
}

export function verify({ author_seed: seed, valid, invalid, forks, no_forks: noForks }, checks) {
  for (const vector of valid) {
    const message = validate(vector)
    checks.equal(message.id, vector.id, `${vector.what}: id`)
    checks.equal(message.signed, vector.signed, `${vector.what}: signed text`)
    checks.that(message.author.equals(publicOf(hex(seed))), `${vector.what}: author`)
  }
  for (const vector of invalid) checks.refused(() => validate(vector), vector.what)
  for (const { what, messages } of forks) checks.equal(isFork(messages), undefined, what)
  for (const { what, messages } of noForks) checks.refused(() => isFork(messages), what)
}
