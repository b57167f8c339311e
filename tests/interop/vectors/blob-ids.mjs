// Blob ids in both of their forms (spec/blobs.md 1); the canonical form, or null.

const URI = /^ssb:blob\/(?:sha256|classic)\/([A-Za-z0-9_-]{43}=)$/
const SIGIL = /^&([A-Za-z0-9+/]{43}=)\.sha256$/

export function blobId(text) {
  if (typeof text !== 'string') return null
  const sigil = SIGIL.exec(text)
  const uri = URI.exec(text)
  const base64 = sigil ? sigil[1] : uri ? uri[1].replaceAll('-', '+').replaceAll('_', '/') : null
  if (base64 === null || Buffer.from(base64, 'base64').toString('base64') !== base64) return null
  return `&${base64}.sha256`
}
