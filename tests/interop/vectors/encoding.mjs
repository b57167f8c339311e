// Strict msgpack (spec/encoding.md): a decoder that refuses whatever is not the only form of a value.

const DEPTH_MAX = 32

class Reader {
  constructor(bytes) {
    this.bytes = bytes
    this.at = 0
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new Error('truncated')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  unsigned(length, least) {
    const number = BigInt('0x' + this.take(length).toString('hex'))
    if (number < least) throw new Error('not the shortest form')
    return number
  }

  signed(length, most) {
    const number = BigInt.asIntN(8 * length, BigInt('0x' + this.take(length).toString('hex')))
    if (number >= most) throw new Error('not the shortest form')
    return number
  }

  text(length) {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(Number(length)))
  }

  array(length, depth) {
    if (depth === DEPTH_MAX) throw new Error('nested too deep')
    return Array.from({ length: Number(length) }, () => this.value(depth + 1))
  }

  value(depth = 0) {
    const head = this.take(1)[0]
    if (head < 0x80) return BigInt(head)
    if (head >= 0xe0) return BigInt(head - 0x100)
    if (head >= 0x90 && head < 0xa0) return this.array(head - 0x90, depth)
    if (head >= 0xa0 && head < 0xc0) return this.text(head - 0xa0)
    switch (head) {
      case 0xc0: return null
      case 0xc2: return false
      case 0xc3: return true
      case 0xc4: return this.take(Number(this.unsigned(1, 0n)))
      case 0xc5: return this.take(Number(this.unsigned(2, 1n << 8n)))
      case 0xc6: return this.take(Number(this.unsigned(4, 1n << 16n)))
      case 0xcc: return this.unsigned(1, 1n << 7n)
      case 0xcd: return this.unsigned(2, 1n << 8n)
      case 0xce: return this.unsigned(4, 1n << 16n)
      case 0xcf: return this.unsigned(8, 1n << 32n)
      case 0xd0: return this.signed(1, -(1n << 5n))
      case 0xd1: return this.signed(2, -(1n << 7n))
      case 0xd2: return this.signed(4, -(1n << 15n))
      case 0xd3: return this.signed(8, -(1n << 31n))
      case 0xd9: return this.text(this.unsigned(1, 1n << 5n))
      case 0xda: return this.text(this.unsigned(2, 1n << 8n))
      case 0xdb: return this.text(this.unsigned(4, 1n << 16n))
      case 0xdc: return this.array(this.unsigned(2, 1n << 4n), depth)
      case 0xdd: return this.array(this.unsigned(4, 1n << 16n), depth)
      default: throw new Error('not a value: ' + head.toString(16))
    }
  }
}

function decode(hex) {
  const reader = new Reader(Buffer.from(hex, 'hex'))
  const value = reader.value()
  if (reader.at !== reader.bytes.length) throw new Error('something follows the value')
  return value
}

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
  for (const { hex, value } of valid) checks.equal(describe(decode(hex)), value, hex)
  for (const { hex, rule } of invalid) checks.refused(() => decode(hex), `${hex} (${rule})`)
}
