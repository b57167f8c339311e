// Notes on blobs.createWants (spec/blobs.md 4).

import { blobId } from './blob-ids.mjs'

function read(text) {
  const value = JSON.parse(text)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error('no object')
  return Object.entries(value)
    .filter(([name, number]) => blobId(name) && Number.isInteger(number) && number !== 0)
    .map(([name, number]) => [number < 0 ? 'want' : 'have', blobId(name), Math.abs(number)])
}

export function verify({ read: readable, malformed, written }, checks) {
  for (const { what, json, notes } of readable) checks.equal(JSON.stringify(read(json)), JSON.stringify(notes), what)
  for (const json of malformed) checks.refused(() => read(json), json)
  for (const { note: [kind, blob, number], json } of written) {
    checks.equal(JSON.stringify({ [blob]: kind === 'want' ? -number : number }), json, json)
  }
}
