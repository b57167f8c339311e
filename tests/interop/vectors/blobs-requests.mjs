// Arguments of blobs.get and blobs.getSlice (spec/blobs.md 3).

import { blobId } from './blob-ids.mjs'

function read(method, [wish]) {
  if (method === 'blobs.get' && typeof wish === 'string') wish = { key: wish }
  if (wish === null || typeof wish !== 'object') throw new Error('no options')
  const blob = blobId(wish.id || wish.key || wish.hash)
  if (!blob) throw new Error('no blob id')
  const names = method === 'blobs.get' ? ['size', 'max'] : ['start', 'end', 'size', 'max']
  const options = { start: 0 }
  for (const name of names) {
    const number = wish[name] ?? null
    if (number === null) continue
    if (!Number.isInteger(number) || number < 0) throw new Error(`${name} is no number of bytes`)
    options[name] = number
  }
  return { blob, ...options }
}

/** The first byte and the byte after the last, or null for a refusal. */
function sent({ start, end = Infinity, size, max = Infinity }, actual) {
  if (actual > max || (size !== undefined && size !== actual)) return null
  return [start, Math.max(start, Math.min(end, actual))]
}

export function verify({ read: readable, malformed }, checks) {
  for (const { what, method, args, means } of readable) {
    const wish = read(method, args)
    checks.equal(wish.blob, means.blob, what)
    for (const [size, range] of Object.entries(means.of_size)) {
      checks.equal(JSON.stringify(sent(wish, Number(size))), JSON.stringify(range), `${what}, of ${size} bytes`)
    }
  }
  for (const { what, method, args } of malformed) checks.refused(() => read(method, args), what)
}
