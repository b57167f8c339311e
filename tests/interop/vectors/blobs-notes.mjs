// What peers say of blobs on createWants (spec/blobs.md 4).

import { blobId } from './references.mjs'

function read(json) {
  const value = JSON.parse(json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object')
  return Object.entries(value).flatMap(([name, number]) => {
    const id = blobId(name)
    if (!id || !Number.isInteger(number) || number === 0) return []
    return [number < 0 ? ['want', id, -number] : ['have', id, number]]
  })
}

const write = ([kind, id, number]) => JSON.stringify({ [id]: kind === 'want' ? -number : number })

export function verify({ read: readable, malformed, written }, checks) {
  for (const { what, json, notes } of readable) checks.equal(JSON.stringify(read(json)), JSON.stringify(notes), what)
  for (const json of malformed) checks.refused(() => read(json), json)
  for (const { note, json } of written) checks.equal(write(note), json, json)
}
