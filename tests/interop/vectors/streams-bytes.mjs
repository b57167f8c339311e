// What streams are made of, as bytes (spec/streams.md 1 to 3, 5 to 8).

import { longHex } from './long-hex.mjs'
import { leafHash } from './merkle.mjs'
import { decode, encode } from './msgpack.mjs'
import { hex, sha256 } from './primitives.mjs'
import {
  Log, checkChild, checkHead, checkIntent, checkOwnersSet, checkResolve, chunkTree, readGenesis, readHeader, readNode,
  readRoot,
} from './streams.mjs'

const MIB = 2 ** 20

/** A value as the files show it. */
function plain(value) {
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (typeof value === 'bigint') return Number(value)
  return Array.isArray(value) ? value.map(plain) : value
}

/** The files name the fields of an array in their order; a body beside its signatures is flat. */
function checkFields(vector, row, checks, what) {
  if (!vector.fields) return
  const shown = Object.values(vector.fields).map((field) => JSON.stringify(field, (_, each) => (typeof each === 'string' && each.includes('[') ? longHex(each).toString('hex') : each)))
  checks.equal(shown.join(), plain(row).map((field) => JSON.stringify(field)).join(), `${what}: fields`)
}

const flat = ([body, signatures]) => [...body, signatures]

function both({ valid, invalid }, section, checks, check, compare = () => {}) {
  for (const vector of valid) {
    const what = `${section}: ${vector.what}`
    const bytes = longHex(vector.hex)
    const found = check(vector, bytes)
    checks.that(encode(decode(bytes)).equals(bytes), `${what}: encoded again`)
    compare(vector, found, what, bytes)
  }
  for (const vector of invalid) checks.refused(() => check(vector, longHex(vector.hex)), `${section}: ${vector.rule}`)
}

function checkGeneses(vectors, checks) {
  const known = {}
  both(vectors, 'genesis', checks, (_, bytes) => readGenesis(bytes), (vector, genesis, what, bytes) => {
    known[vector.what] = genesis
    checks.equal(genesis.uri, vector.id, `${what}: id`)
    if (vector.owners_hash) checks.equal(plain(genesis.hash), vector.owners_hash, `${what}: owners_hash`)
    checkFields(vector, decode(bytes), checks, what)
  })
  return known
}

function checkHeaders(vectors, checks) {
  const check = (_, bytes) => checkIntent(readHeader(bytes))
  both(vectors, 'header', checks, check, (vector, _, what, bytes) => {
    checks.equal(plain(leafHash(bytes)), vector.leaf_hash, `${what}: leaf`)
    checkFields(vector, decode(bytes), checks, what)
  })
}

function checkSigned(vectors, section, geneses, check, checks) {
  const read = ({ genesis }, bytes) => check(geneses[genesis], decode(bytes))
  both(vectors, section, checks, read, (vector, _, what, bytes) => checkFields(vector, flat(decode(bytes)), checks, what))
}

function checkOwnersSets(vectors, checks) {
  const read = ({ before: [rows, threshold] }, bytes) => {
    const owners = rows.map(([key, weight]) => ({ key: hex(key), weight }))
    return checkOwnersSet({ owners, threshold }, bytes)
  }
  both(vectors, 'owners.set', checks, read, (vector, change, what, bytes) => {
    checks.equal(plain(change.hash), vector.owners_hash, `${what}: owners_hash`)
    checkFields(vector, decode(bytes), checks, what)
  })
}

function chunksOf(size, hashOf) {
  return Array.from({ length: Math.ceil(size / MIB) }, (_, place) => hashOf(place, Math.min(MIB, size - place * MIB)))
}

function checkContents({ zeros, made_up: madeUp }, checks) {
  for (const { size, content_hash: named, root } of zeros) {
    if (size <= 5 * MIB) {
      checks.equal(plain(sha256(Buffer.alloc(size))), named, `content of ${size}`)
      continue
    }
    const [node] = chunkTree(chunksOf(size, (_, length) => sha256(Buffer.alloc(length))), size)
    checks.equal(plain(node.encoded), plain(longHex(root)), `content of ${size}: root`)
    checks.equal(plain(node.hash), named, `content of ${size}`)
    checks.equal(readRoot(node.encoded, size).level, 0, `content of ${size}: level`)
  }
  for (const { size, nodes } of madeUp) {
    const made = chunkTree(chunksOf(size, (place) => sha256(Buffer.from(`chunk ${place}`))), size)
    const byHash = (rows) => rows.map(String).sort().join()
    checks.equal(byHash(made.map(({ level, size: below, hash }) => [level, below, plain(hash)])), byHash(nodes), `nodes over ${size}`)
  }
}

function checkNodes(vectors, checks) {
  both(vectors, 'chunk node', checks, ({ size }, bytes) => readRoot(bytes, size), (vector, _, what, bytes) => {
    checks.equal(plain(sha256(bytes)), vector.hash, `${what}: hash`)
    checkFields(vector, decode(bytes), checks, what)
  })
}

function checkChildren({ valid, invalid }, checks) {
  const check = ({ parent, place, chunk, node }) =>
    checkChild(readNode(longHex(parent)), place, chunk && longHex(chunk), node && longHex(node))
  for (const vector of valid) checks.equal(check(vector), undefined, `child: ${vector.what}`)
  for (const vector of invalid) {
    checks.that(readNode(longHex(vector.parent)), `child: ${vector.rule}: parent`)
    checks.refused(() => check(vector), `child: ${vector.rule}`)
  }
}

function checkLog({ what, segments, refused }, checks) {
  const log = new Log()
  for (let taken = 0; taken <= segments.length; taken++) {
    for (const { rule, after, hex: segment } of refused) {
      if (after === taken) checks.refused(() => log.take(longHex(segment)), `${what}: ${rule}`)
    }
    if (taken === segments.length) break
    const { hex: segment, length, root, peaks } = segments[taken]
    const state = log.take(longHex(segment))
    checks.equal(state.length, length, `${what}, segment ${taken}: length`)
    checks.equal(plain(state.root), root, `${what}, segment ${taken}: root`)
    checks.equal(plain(state.peaks).join(), peaks.join(), `${what}, segment ${taken}: peaks`)
  }
}

export function verify(vectors, checks) {
  const geneses = checkGeneses(vectors.geneses, checks)
  checkHeaders(vectors.headers, checks)
  checkSigned(vectors.heads, 'Head', geneses, checkHead, checks)
  checkSigned(vectors.resolves, 'Resolve', geneses, checkResolve, checks)
  checkOwnersSets(vectors.owners_sets, checks)
  checkContents(vectors.contents, checks)
  checkNodes(vectors.chunk_nodes, checks)
  checkChildren(vectors.children, checks)
  for (const log of vectors.logs) checkLog(log, checks)
}
