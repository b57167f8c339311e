// Strict msgpack (spec/encoding.md): a decoder that refuses whatever is not the only form of a value,
// and an encoder. Integers are BigInt, bytes are Buffers.

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

export function decode(bytes) {
  const reader = new Reader(bytes)
  const value = reader.value()
  if (reader.at !== reader.bytes.length) throw new Error('something follows the value')
  return value
}

/** A number in so many bytes, big-endian, behind the head that says how many. */
function sized(head, number, length) {
  const bytes = BigInt.asUintN(8 * length, BigInt(number)).toString(16).padStart(2 * length, '0')
  return Buffer.from(head.toString(16) + bytes, 'hex')
}

function encodeInteger(number) {
  if (number >= 0 && number < 0x80) return Buffer.of(Number(number))
  if (number < 0 && number >= -0x20) return Buffer.of(0x100 + Number(number))
  const wide = [8, 16, 32, 64].findIndex((bits) => number === (number < 0 ? BigInt.asIntN : BigInt.asUintN)(bits, number))
  if (wide < 0) throw new Error('an integer out of range')
  return sized((number < 0 ? 0xd0 : 0xcc) + wide, number, 1 << wide)
}

function lengthOf(length, heads) {
  const wide = [0xff, 0xffff, 0xffffffff].findIndex((most, place) => heads[place] && length <= most)
  return sized(heads[wide], length, 1 << wide)
}

/** Integers may be given as Number too. */
export function encode(value) {
  if (value === null) return Buffer.of(0xc0)
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2)
  if (typeof value === 'number' || typeof value === 'bigint') return encodeInteger(BigInt(value))
  if (Buffer.isBuffer(value)) return Buffer.concat([lengthOf(value.length, [0xc4, 0xc5, 0xc6]), value])
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    const head = text.length < 0x20 ? Buffer.of(0xa0 + text.length) : lengthOf(text.length, [0xd9, 0xda, 0xdb])
    return Buffer.concat([head, text])
  }
  const head = value.length < 0x10 ? Buffer.of(0x90 + value.length) : lengthOf(value.length, [undefined, 0xdc, 0xdd])
  return Buffer.concat([head, ...value.map(encode)])
}
