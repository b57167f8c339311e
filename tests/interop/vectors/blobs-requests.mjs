// What peers ask for by blobs.get and blobs.getSlice (spec/blobs.md 3).

import { blobId } from './references.mjs'

const NAMES = ['id', 'key', 'hash']

function bytes(value, name) {
  if (value == null) return null
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} is no number of bytes`)
  return value
}

function read(method, [argument]) {
  const slice = method === 'blobs.getSlice'
  const options = typeof argument === 'object' && argument !== null ? argument : slice ? {} : { id: argument }
  const name = NAMES.find((each) => options[each] != null)
  const blob = blobId(options[name])
  if (!blob) throw new Error('no blob id')
  const [size, max, start, end] = ['size', 'max', 'start', 'end'].map((each) =>
    slice || each === 'size' || each === 'max' ? bytes(options[each], each) : null)
  return {
    blob,
    range(length) {
      if ((size !== null && size !== length) || (max !== null && length > max)) return null
      const first = start ?? 0
      return [first, Math.max(first, Math.min(end ?? length, length))]
    },
  }
}

export function verify({ read: readable, malformed }, checks) {
  for (const { what, method, args, means } of readable) {
    const request = read(method, args)
    checks.equal(request.blob, means.blob, what)
    for (const [length, range] of Object.entries(means.of_size)) {
      checks.equal(JSON.stringify(request.range(Number(length))), JSON.stringify(range), `${what}: of ${length} bytes`)
    }
  }
  for (const { what, method, args } of malformed) checks.refused(() => read(method, args), what)
}
