'use strict'
// What the peers write into their feeds. `contentOf(kind, seed, index, size)` is a function of its
// arguments, so that a feed can be written in several sittings and told from another seed's.

const crypto = require('crypto')

const ENCODED_UNITS_MAX = 7000 // of 8192, which the envelope and its indentation count towards

// Each of these has its own way through JSON.stringify, UTF-8 and the hash of low bytes. Left out is
// what breaks a peer rather than a message: infinite numbers (ssb-db2), a null in an outer array
// (ssb-db) and a sealed content too short for its keys (both).
const EDGES = [
  { type: 'abc', note: 'shortest type' },
  { type: 'y'.repeat(52), note: 'longest type' },
  { type: 'edge', latin1: 'na\u00efve \u00a3 \u00ff \u0080\u009f' },
  { type: 'edge', bmp: '\u0416\u0141\u2603\u6f22\u5b57\uac00\ud7a3' },
  { type: 'edge', astral: '\u{10000}\u{1f600}\u{1d54f}\u{10ffff}' },
  { type: 'edge', joined: '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} e\u0301 \u00e9', '\u00e9': 1, 'e\u0301': 2 },
  { type: 'edge', control: Array.from({ length: 33 }, (_, unit) => String.fromCharCode(unit)).join('') + '\u007f' },
  { type: 'edge', escaped: '"quoted" back\\slash solidus/ \b\f\n\r\t' },
  { type: 'edge', separators: '\u2028\u2029\u0085\u00a0\u200b\u2060\ufeff' },
  { type: 'edge', notCharacters: '\ufdd0\ufffe\uffff\ufffd\u{1fffe}' },
  { type: 'edge', sameLowByte: 'A\u0141\u0241\u{10041}' },
  { type: 'edge', halves: [0.1, 0.2, 0.1 + 0.2, 1 / 3, -0.5, 1.5, 4.35, 1.005, 123456789.125] },
  { type: 'edge', tiny: [5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1e-7, 1e-6, 0.0000015, 1.5e-9] },
  { type: 'edge', huge: [1e20, 1e21, 1e22, 123e21, 1.7976931348623157e308, 999999999999999900000, -1e21] },
  { type: 'edge', whole: [0, -0, 1, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 2 ** 64] },
  { type: 'edge', source: JSON.parse('[1E3, 1.0, -0.0, 100000000000000000000001, 9007199254740993]') },
  { type: 'edge', z: 1, 10: 'ten', 9: 'nine', a: 2, '-1': 'no', '01': 'no', 4294967294: 'last', 4294967295: 'no', 4294967296: 'no', '1.5': 'no', ' 1': 'no' },
  { type: 'edge', nested: { 3: { 2: { 1: [{ 0: 'zero' }] } }, b: { 7: 7, a: 'a', 6: 6 } } },
  { type: 'edge', array: [], object: {}, string: '', deep: [[], {}, [[[]]], [{}], { x: [{ y: {} }] }] },
  { type: 'edge', yes: true, no: false, none: null, all: { three: [true, false, null] } },
  { type: 'edge', '': 'empty', '"': 'quote', '\\': 'backslash', '\n': 'line', '\u0000': 'nul', '\u2028': 'separator', '\u{1f600}': 'astral' },
  { type: 'edge', constructor: 1, prototype: 2, toString: 3, hasOwnProperty: 4, length: 5, valueOf: 6, toJSON: 7, then: 8 },
  JSON.parse('{"type":"edge","twice":1,"between":2,"twice":3,"\\u0061":"a","a":"again"}'),
  { type: 'edge', markup: '<script>alert("&amp;")</script> </textarea> \u003c!-- {{x}} ${y}' },
  { type: 'edge', author: '@x.ed25519', previous: null, signature: 'x.sig.ed25519', sequence: -1, content: { type: 'inner' } },
  { type: 'post', text: 'see', root: null, branch: [], mentions: [{ link: '&' + Buffer.alloc(32, 9).toString('base64') + '.sha256', name: 'a picture' }] },
  { type: 'edge', note: 'many units of one byte', text: 'x'.repeat(ENCODED_UNITS_MAX - 200) },
  { type: 'edge', note: 'many units of three bytes', text: '\u6f22'.repeat(ENCODED_UNITS_MAX - 200) },
  { type: 'edge', note: 'many units, half an astral character each', text: '\u{1f600}'.repeat(ENCODED_UNITS_MAX / 2 - 100) },
  { type: 'edge', steps: Array.from({ length: 45 }).reduce((inner, _, depth) => (depth % 2 ? [inner] : { d: inner }), 'floor') },
  Buffer.alloc(300, 'sealed for nobody').toString('base64') + '.box',
  Buffer.alloc(300, 'sealed for nobody').toString('base64') + '.box2',
]

// ssb-db2 signs these and then stores something else, so nobody can replicate past them.
const POISONS = [
  { type: 'poison', text: '\ud800 \udc00 \udfff\ud83d' },
  JSON.parse('{"type":"poison","__proto__":{"polluted":true}}'),
]

/** Numbers in [0, 1), the same ones for the same seed and index (xorshift128 on a hashed start). */
function drawsFrom(seed, index) {
  const start = crypto.createHash('sha256').update(`${seed}/${index}`).digest()
  const state = [0, 4, 8, 12].map((at) => start.readUInt32LE(at) | 1)
  return () => {
    const [first, , , last] = state
    const mixed = first ^ (first << 11)
    state.shift()
    state.push(last ^ (last >>> 19) ^ mixed ^ (mixed >>> 8))
    return (state[3] >>> 0) / 2 ** 32
  }
}

function randomNumber(draw) {
  if (draw() < 0.3) return Math.floor(draw() * 2 ** 54) * (draw() < 0.5 ? -1 : 1)
  const bits = new DataView(new ArrayBuffer(8))
  bits.setUint32(0, draw() * 2 ** 32)
  bits.setUint32(4, draw() * 2 ** 32)
  const number = bits.getFloat64(0)
  return Number.isFinite(number) ? number : 0.1
}

function randomText(draw) {
  const units = Array.from({ length: draw() * 24 }, () => draw() * (draw() < 0.5 ? 128 : 65536))
  return String.fromCharCode(...units).toWellFormed()
}

function randomKey(draw) {
  const key = draw() < 0.3 ? String(Math.floor(draw() * 2 ** (draw() * 34))) : randomText(draw)
  return key === '__proto__' ? 'proto' : key
}

function randomValue(draw, depth) {
  const choice = draw() * (depth ? 7 : 5)
  if (choice < 2) return randomNumber(draw)
  if (choice < 4) return randomText(draw)
  if (choice < 5) return [true, false, null][Math.floor(draw() * 3)]
  const members = Array.from({ length: draw() * 5 }, () => randomValue(draw, depth - 1))
  if (choice < 6) return members
  return Object.fromEntries(members.map((member) => [randomKey(draw), member]))
}

function edge(seed, index) {
  if (index < EDGES.length) return EDGES[index]
  const draw = drawsFrom(seed, index)
  const content = { type: 'edge', index, drawn: { value: randomValue(draw, 3) }, [randomKey(draw)]: randomText(draw) }
  return JSON.stringify(content, null, 2).length > ENCODED_UNITS_MAX ? { type: 'edge', index } : content
}

const KINDS = {
  simple: (_seed, index) => ({ type: 'post', text: `message ${index}`, index }),
  edge,
  bulk: (_seed, index, size) => ({ type: 'post', text: 'x'.repeat(size), index }),
  poison: (_seed, index) => POISONS[index % POISONS.length],
}

exports.KINDS = Object.keys(KINDS)
exports.contentOf = (kind, seed, index, size) => KINDS[kind](seed, index, size)
