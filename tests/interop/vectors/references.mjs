// Names of feeds, streams, messages and blobs: 32 bytes in canonical base64, or their ssb: URI.

const URI = /^ssb:blob\/(?:classic|sha256)\/(.*)$/

/** The bytes, or null if the text is not canonical base64 of that length. */
export function fromBase64(text, length) {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === length && bytes.toString('base64') === text ? bytes : null
}

/** The name as it is written, or null if the text is none. */
export function blobId(text) {
  if (typeof text !== 'string') return null
  const uri = URI.exec(text)
  const base64 = uri ? uri[1].replaceAll('-', '+').replaceAll('_', '/') : text.slice(1, -'.sha256'.length)
  if (!uri && !(text.startsWith('&') && text.endsWith('.sha256'))) return null
  return fromBase64(base64, 32) ? `&${base64}.sha256` : null
}

/** The name as it is written, or null if the text is none. */
export function feedId(text) {
  const inner = /^@(.*)\.ed25519$/.exec(text)
  return inner && fromBase64(inner[1], 32) ? text : null
}

const STREAM = 'ssb:feed/qbix-v1/'

export const streamUri = (id) => STREAM + id.toString('base64').replaceAll('+', '-').replaceAll('/', '_')

/** The bytes, or null if the text names no stream. */
export function streamId(text) {
  const id = Buffer.from(text.slice(STREAM.length), 'base64')
  return id.length === 32 && streamUri(id) === text ? id : null
}
