// Strict msgpack (spec/encoding.md): what is refused, and what the values are.

import { decode, encode } from './msgpack.mjs'
import { hex as bytesOf } from './primitives.mjs'

/** What the descriptions in the file stand for. */
function describe(value) {
  if (value === null) return 'nil'
  if (Buffer.isBuffer(value)) return value.length ? 'bin ' + value.toString('hex') : 'empty bin'
  if (value === '') return 'empty str'
  if (value === '\u00e9') return 'str e-acute'
  if (typeof value === 'string') return `'${value}'`
  if (value === 1n << 32n) return '2^32'
  if (value === (1n << 64n) - 1n) return '2^64-1'
  if (value === -(1n << 63n)) return '-2^63'
  if (!Array.isArray(value)) return String(value)
  if (value.length === 0) return 'empty array'
  const levels = nesting(value)
  return levels > 2 ? `${levels} nested arrays` : `[${value.map(describe).join(', ')}]`
}

const nesting = (value) => (Array.isArray(value) ? 1 + Math.max(0, ...value.map(nesting)) : 0)

export function verify({ valid, invalid }, checks) {
  for (const { hex, value } of valid) {
    checks.equal(describe(decode(bytesOf(hex))), value, hex)
    checks.equal(encode(decode(bytesOf(hex))).toString('hex'), hex, `${hex}, encoded again`)
  }
  for (const { hex, rule } of invalid) checks.refused(() => decode(bytesOf(hex)), `${hex} (${rule})`)
}
