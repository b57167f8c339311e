// Streams (spec/streams.md): readers that refuse what breaks a rule, logs that take segments, and proofs
// of forks. Numbers are checked as BigInt and kept as Number; bytes are Buffers.

import { bag, climb, lead, leafHash, peaksOf, rootOf, spots } from './merkle.mjs'
import { decode, encode } from './msgpack.mjs'
import { sha256, verifySignature } from './primitives.mjs'
import { streamUri } from './references.mjs'

const NUMBER_MAX = 2 ** 53 - 1
const LENGTH_MAX = 2 ** 30 - 1
const MIB = 2 ** 20
const DOMAINS = { head: 'qbix/head/1', intent: 'qbix/intent/1', ownersSet: 'qbix/owners-set/1', resolve: 'qbix/resolve/1' }

export function demand(holds, rule) {
  if (!holds) throw new Error(rule)
}

const H = (...parts) => sha256(Buffer.concat(parts.map((part) => Buffer.from(part))))

// ---- fields ----

export function number(value, what, low = 0, high = NUMBER_MAX) {
  demand(typeof value === 'bigint' && value >= BigInt(low) && value <= BigInt(high), `${what}: no number in its range`)
  return Number(value)
}

export function bytes(value, what, size, most = Infinity) {
  demand(Buffer.isBuffer(value), `${what}: no bytes`)
  demand((size === undefined || value.length === size) && value.length <= most, `${what}: ${value.length} bytes`)
  return value
}

export function array(value, what, size, most = Infinity) {
  demand(Array.isArray(value), `${what}: no array`)
  demand((size === undefined || value.length === size) && value.length <= most, `${what}: ${value.length} items`)
  return value
}

function name(value, what) {
  demand(typeof value === 'string' && /^[a-z][a-z0-9._-]{0,63}$/.test(value), `${what}: no name`)
  return value
}

export function structure(value, what, size) {
  demand(array(value, what, size)[0] === 1n, `${what}: version`)
  return value
}

export function ascending(rows, compare, what) {
  rows.slice(1).forEach((row, place) => demand(compare(rows[place], row) < 0, `${what}: not ascending`))
}

export const hashes = (value, what) => array(value, what).map((each) => bytes(each, what, 32))
const byText = (one, other) => (one < other ? -1 : one > other ? 1 : 0)

// ---- 1: geneses ----

function readOwners(rows, threshold, what, isNetwork = false) {
  const owners = array(rows, `${what}: owners`, undefined, 64).map((row) => {
    const [key, weight] = array(row, `${what}: owner`, 2)
    return { key: bytes(key, `${what}: key`, 32), weight: number(weight, `${what}: weight`, 1, 2 ** 32 - 1) }
  })
  ascending(owners.map(({ key }) => key), Buffer.compare, `${what}: owners`)
  const sum = owners.reduce((total, { weight }) => total + weight, 0)
  demand(isNetwork || owners.length, `${what}: no owners`)
  return { owners, sum, threshold: number(threshold, `${what}: threshold`, isNetwork ? 0 : 1, sum), hash: H('qbix/owners/1\0', encode([rows, threshold])) }
}

function readKeys(encoded, what) {
  const keys = array(decode(encoded), what, undefined, 100).map((key) => bytes(key, what, 32))
  ascending(keys, Buffer.compare, what)
}

export function readGenesis(encoded) {
  demand(encoded.length <= 16 * 1024, 'genesis: size')
  const [, rows, threshold, kind, uniqueness, params, salt, network, epoch] = structure(decode(encoded), 'genesis', 9)
  demand(['none', 'gossip', 'watched'].includes(uniqueness), 'genesis: uniqueness')
  name(kind, 'genesis: kind')
  bytes(salt, 'genesis: salt', 16)
  const isWatched = uniqueness === 'watched'
  const isNetwork = isWatched && kind === 'network' && network === null && epoch === null
  const ruling = readOwners(rows, threshold, 'genesis', isNetwork)
  demand(!isNetwork || (!ruling.owners.length && ruling.threshold === 0), 'genesis: a network has no owners')
  if (isWatched && !isNetwork) {
    bytes(network, 'genesis: network', 32)
    number(epoch, 'genesis: epoch', 0, 2 ** 32 - 1)
  } else demand(network === null && epoch === null, 'genesis: a network is named')
  demand(uniqueness === 'none' || isNetwork || 2 * ruling.threshold > ruling.sum, 'genesis: two sets of owners')
  const pairs = array(params, 'genesis: params', undefined, 32).map((pair) => {
    const [key, value] = array(pair, 'genesis: param', 2)
    return [name(key, 'genesis: param'), bytes(value, 'genesis: param', undefined, 4096)]
  })
  ascending(pairs.map(([key]) => key), byText, 'genesis: params')
  const { sequencer, readers, writers } = Object.fromEntries(pairs)
  if (sequencer) demand(ruling.owners.some(({ key }) => key.equals(sequencer)), 'genesis: the sequencer is no owner')
  else demand(uniqueness !== 'gossip' || ruling.owners.length === 1, 'genesis: no sequencer')
  if (readers) readKeys(readers, 'readers')
  if (writers) readKeys(writers, 'writers')
  const id = H('qbix/stream/1\0', encoded)
  return { ...ruling, kind, uniqueness, id, uri: streamUri(id), leaf: encoded }
}

// ---- what is signed ----

const signedBody = (domain, body) => Buffer.concat([Buffer.from(`${domain}\0`), encode(body)])

export function checkSignature(key, domain, body, signature) {
  demand(verifySignature(key, signedBody(domain, body), bytes(signature, 'signature', 64)), 'signature: wrong')
}

/** The signatures of exactly enough owners. */
function decided({ owners, threshold }, rows, domain, body) {
  const signed = array(rows, 'signatures').map((row) => {
    const [index, signature] = array(row, 'signature', 2)
    return [number(index, 'signature: owner', 0, owners.length - 1), signature]
  })
  ascending(signed.map(([index]) => index), (one, other) => one - other, 'signatures')
  const weights = signed.map(([index]) => owners[index].weight)
  const sum = weights.reduce((total, weight) => total + weight, 0)
  demand(sum >= threshold, 'signatures: not enough')
  demand(weights.every((weight) => sum - weight < threshold), 'signatures: more than enough')
  for (const [index, signature] of signed) {
    checkSignature(owners[index].key, domain, body, signature)
  }
}

// ---- 2: headers ----

export function readHeader(encoded) {
  demand(encoded.length <= 512, 'header: size')
  const row = structure(decode(encoded), 'header', 12)
  const [, stream, index, author, authorSeq, baseLength, baseRoot, timestamp, kind, contentSize, contentHash, authorSig] = row
  const header = {
    stream: bytes(stream, 'header: stream', 32),
    index: number(index, 'header: index', 1, LENGTH_MAX - 1),
    author: bytes(author, 'header: author', 32),
    authorSeq: number(authorSeq, 'header: author_seq', 1),
    timestamp: number(timestamp, 'header: timestamp'),
    kind: name(kind, 'header: kind'),
    contentSize: number(contentSize, 'header: content_size'),
    contentHash: bytes(contentHash, 'header: content_hash', 32),
    isIntent: authorSig !== null,
    signed: [stream, author, authorSeq, baseLength, baseRoot, timestamp, kind, contentSize, contentHash],
    authorSig,
  }
  header.baseLength = number(baseLength, 'header: base_length', 1, header.index)
  if (header.isIntent) {
    header.baseRoot = bytes(baseRoot, 'header: base_root', 32)
    bytes(authorSig, 'header: author_sig', 64)
  } else {
    demand(baseRoot === null, 'header: base_root of the only owner')
    demand(header.authorSeq === header.index && header.baseLength === header.index, 'header: author_seq, base_length')
  }
  return header
}

export function checkIntent({ isIntent, author, signed, authorSig }) {
  demand(!isIntent || verifySignature(author, signedBody(DOMAINS.intent, signed), authorSig), 'header: author_sig')
}

// ---- 3: contents ----

export function readNode(encoded) {
  const [, level, size, rows] = structure(decode(encoded), 'chunk node', 4)
  const node = { level: number(level, 'level'), size: number(size, 'size', 1), hashes: hashes(rows, 'hashes') }
  node.full = MIB * 4096 ** node.level
  demand(node.hashes.length <= 4096 && node.hashes.length === Math.ceil(node.size / node.full), 'chunk node: number of hashes')
  return node
}

export function readRoot(encoded, size) {
  const node = readNode(encoded)
  demand(node.size === size && size > 5 * MIB, 'chunk node: size')
  demand(node.level === 0 || node.hashes.length > 1, 'chunk node: the level below has one node')
  return node
}

/** A chunk, or the node of a level below, in a place below its parent. */
export function checkChild(parent, place, chunk, encoded) {
  demand(sha256(chunk ?? encoded).equals(parent.hashes[place]), 'child: hash')
  const below = Math.min(parent.full, parent.size - place * parent.full)
  if (chunk) demand(parent.level === 0 && chunk.length === below, 'chunk: size')
  else {
    const node = readNode(encoded)
    demand(node.level === parent.level - 1 && node.size === below, 'node: level, size')
  }
}

/** All nodes over the hashes of chunks, those of each level before those above. */
export function chunkTree(chunks, size) {
  const nodes = []
  let below = chunks.map((hash, place) => [hash, Math.min(MIB, size - place * MIB)])
  for (let level = 0; level === 0 || below.length > 1; level++) {
    const rows = Array.from({ length: Math.ceil(below.length / 4096) }, (_, at) => below.slice(4096 * at, 4096 * at + 4096))
    below = rows.map((row) => {
      const total = row.reduce((sum, [, each]) => sum + each, 0)
      const encoded = encode([1, level, total, row.map(([hash]) => hash)])
      nodes.push({ level, size: total, hash: sha256(encoded), encoded })
      return [sha256(encoded), total]
    })
  }
  return nodes
}

// ---- 5, 6.1, 7: what owners sign ----

export function readHead(value) {
  const [body, signatures] = array(value, 'SignedHead', 2)
  const [, stream, length, root, timestamp] = structure(body, 'Head', 5)
  number(timestamp, 'Head: timestamp')
  return { stream: bytes(stream, 'Head: stream', 32), length: number(length, 'Head: length', 1, LENGTH_MAX), root: bytes(root, 'Head: root', 32), timestamp, body, signatures }
}

export function checkHead(genesis, value, ruling = genesis) {
  const head = readHead(value)
  demand(genesis.uniqueness !== 'watched', 'Head: of a watched stream')
  demand(head.stream.equals(genesis.id), 'Head: of another stream')
  decided(ruling, head.signatures, DOMAINS.head, head.body)
  return head
}

export function checkResolve(genesis, value) {
  const [body, signatures] = array(value, 'SignedResolve', 2)
  const [, stream, forkLength, root] = structure(body, 'Resolve', 4)
  demand(genesis.uniqueness === 'gossip', 'Resolve: not of a gossip stream')
  demand(bytes(stream, 'Resolve: stream', 32).equals(genesis.id), 'Resolve: of another stream')
  const resolve = { forkLength: number(forkLength, 'Resolve: fork_length', 1, LENGTH_MAX), root: bytes(root, 'Resolve: chosen_root', 32), body: encode(body) }
  decided(genesis, signatures, DOMAINS.resolve, body)
  return resolve
}

export function checkOwnersSet(before, content) {
  const row = structure(decode(content), 'owners.set', 6)
  const [, stream, index, rows, threshold, signatures] = row
  const change = { stream: bytes(stream, 'owners.set: stream', 32), index: number(index, 'owners.set: index', 1, LENGTH_MAX - 1), ...readOwners(rows, threshold, 'owners.set') }
  decided(before, signatures, DOMAINS.ownersSet, row.slice(0, 5))
  return change
}

// ---- 8: segments ----

/** A log with all its leaves. What it refuses leaves it as it was. */
export class Log {
  leaves = []
  authors = new Map()
  lastStamp = 0
  genesis = null
  ruling = null

  take(encoded) {
    demand(encoded.length <= MIB, 'segment: size')
    const [, stream, first, entries, contents, signedHead, frontierRows] = structure(decode(encoded), 'segment', 7)
    bytes(stream, 'segment: stream', 32)
    demand(number(first, 'segment: first') === this.leaves.length, 'segment: first')
    demand(array(entries, 'entries', undefined, 256).length >= 1, 'segment: no entries')
    array(contents, 'contents', entries.length)
    entries.forEach((entry) => bytes(entry, 'entry'))
    contents.forEach((content) => content === null || bytes(content, 'content', undefined, 64 * 1024))
    const next = this.leaves.length ? { ...this } : this.begin(entries[0], contents[0], stream)
    demand(stream.equals(next.genesis.id), 'segment: stream')
    const leaves = [...this.leaves, ...entries.map(leafHash)]
    const frontier = hashes(frontierRows, 'frontier')
    const head = checkHead(next.genesis, signedHead, next.ruling)
    demand(head.length >= leaves.length, 'segment: the Head ends before')
    demand(lead(peaksOf(leaves), leaves.length, frontier, head.length).equals(head.root), 'segment: the root')
    next.authors = new Map(this.authors)
    for (let place = this.leaves.length || 1; place < leaves.length; place++) {
      const at = place - this.leaves.length
      demand(!next.changed, 'owners.set: not the last')
      next.changed = this.checkEntry(next, readHeader(entries[at]), place, leaves, contents[at], head)
    }
    delete next.changed
    Object.assign(this, next, { leaves })
    return { length: leaves.length, root: rootOf(leaves), peaks: peaksOf(leaves) }
  }

  begin(leaf, content, stream) {
    const genesis = readGenesis(leaf)
    demand(genesis.id.equals(stream), 'leaf 0: of another stream')
    demand(content === null, 'leaf 0: a content')
    return { ...this, genesis, ruling: genesis }
  }

  /** Whether it changes the owners. */
  checkEntry(next, header, place, leaves, content, head) {
    const { genesis, ruling } = next
    demand(header.index === place && header.stream.equals(genesis.id), 'entry: place')
    if (content !== null) demand(header.contentSize === content.length && header.contentHash.equals(sha256(content)), 'entry: content')
    const isOnly = ruling.owners.length === 1 && ruling.owners[0].key.equals(header.author)
    demand(header.isIntent !== isOnly, 'entry: signed or not')
    if (header.isIntent) this.checkOrder(next.authors, header, leaves)
    else {
      demand(header.timestamp >= next.lastStamp, 'entry: timestamp')
      next.lastStamp = header.timestamp
    }
    demand(!['void', 'reanchor'].includes(header.kind), 'entry: for watched streams')
    if (header.kind !== 'owners.set') return false
    demand(genesis.uniqueness === 'none', 'owners.set: in a gossip stream')
    demand(head.length === place + 1 && content !== null, 'owners.set: the last under its Head, with its content')
    const change = checkOwnersSet(ruling, content)
    demand(change.stream.equals(genesis.id) && change.index === place, 'owners.set: place')
    Object.assign(next, { ruling: change, lastStamp: 0 })
    return true
  }

  checkOrder(authors, header, leaves) {
    checkIntent(header)
    demand(header.baseRoot.equals(rootOf(leaves.slice(0, header.baseLength))), 'intent: base_root')
    const author = header.author.toString('hex')
    const last = authors.get(author) ?? { authorSeq: 0, timestamp: 0 }
    demand(header.authorSeq > last.authorSeq, 'intent: author_seq')
    demand(header.timestamp >= last.timestamp, 'intent: timestamp')
    authors.set(author, header)
  }
}

// ---- 6: proofs of forks ----

/** Who signs at the length of a Head, by its chain. */
function rulingAt(genesis, chain, head) {
  array(chain, 'chain', undefined, 8)
  demand(!chain.length || genesis.uniqueness === 'none', 'chain: owners never change')
  let ruling = genesis
  let last = 0
  for (const link of chain) {
    const [leaf, content, path] = array(link, 'chain', 3)
    const header = readHeader(bytes(leaf, 'chain: header'))
    bytes(content, 'chain: content')
    demand(header.index > last && header.index + 1 < head.length, 'chain: order')
    demand(header.kind === 'owners.set' && header.stream.equals(genesis.id), 'chain: header')
    demand(header.contentSize === content.length && header.contentHash.equals(sha256(content)), 'chain: content')
    const root = climb(leafHash(leaf), 0, header.index, hashes(path, 'chain: path'), head.length)
    demand(root.equals(head.root), 'chain: path')
    const change = checkOwnersSet(ruling, content)
    demand(change.stream.equals(genesis.id) && change.index === header.index, 'chain: place')
    ruling = change
    last = header.index
  }
  return ruling
}

function checkShown(genesis, value) {
  const [signed, chain] = array(value, 'head', 2)
  return checkHead(genesis, signed, rulingAt(genesis, chain, readHead(signed)))
}

function checkResolved(genesis, value, heads) {
  if (value === null) return
  const [signed, peakRows, ...frontiers] = array(value, 'resolved', 4)
  const { forkLength, root } = checkResolve(genesis, signed)
  const peaks = hashes(peakRows, 'resolved: peaks')
  demand(bag(peaks).equals(root), 'resolved: peaks')
  heads.forEach((head, at) => {
    const frontier = hashes(frontiers[at], 'resolved: frontier')
    demand(lead(peaks, forkLength, frontier, head.length).equals(head.root), 'resolved: frontier')
  })
}

function checkA(genesis, [, , , one, other, resolved]) {
  const heads = [one, other].map((shown) => checkShown(genesis, shown))
  demand(heads[0].length === heads[1].length, 'a: lengths')
  demand(Buffer.compare(heads[0].root, heads[1].root) < 0, 'a: roots')
  checkResolved(genesis, resolved, heads)
  return heads[0].length
}

/** The first leaves under a Head: their peaks, checked, and their root. Without peaks it ends there. */
export function checkPrefix(head, length, peakRows, frontierRows) {
  const [peaks, frontier] = [hashes(peakRows, 'peaks'), hashes(frontierRows, 'frontier')]
  if (!peaks.length) {
    demand(length === head.length && !frontier.length, 'no peaks: the Head ends elsewhere')
    return { peaks, root: head.root }
  }
  demand(peaks.length === spots(length).length, 'peaks: number')
  demand(lead(peaks, length, frontier, head.length).equals(head.root), 'peaks: the root')
  return { peaks, root: bag(peaks) }
}

function checkB(genesis, [, , , one, other, at, peaks, otherPeaks, frontier, otherFrontier, resolved]) {
  const heads = [one, other].map((shown) => checkShown(genesis, shown))
  demand(heads[0].length < heads[1].length, 'b: lengths')
  const length = number(at, 'b: length', 1, LENGTH_MAX)
  const sides = [checkPrefix(heads[0], length, peaks, frontier), checkPrefix(heads[1], length, otherPeaks, otherFrontier)]
  demand(!sides[0].root.equals(sides[1].root), 'b: both are the same')
  checkResolved(genesis, resolved, heads)
  if (sides.some((side) => !side.peaks.length)) return length
  return spots(length).find((_, place) => !sides[0].peaks[place].equals(sides[1].peaks[place])).start + 1
}

function checkR(genesis, [, , , one, other]) {
  const [first, second] = [one, other].map((signed) => checkResolve(genesis, signed))
  demand(Buffer.compare(first.body, second.body) < 0, 'r: order')
  return first.forkLength
}

const FORMS = { a: [6, checkA], b: [11, checkB], r: [5, checkR] }

export function checkFork(encoded) {
  demand(encoded.length <= 64 * 1024, 'proof: size')
  const row = array(decode(encoded), 'proof')
  demand(typeof row[1] === 'string' && row[1] in FORMS, 'proof: form')
  const [size, check] = FORMS[row[1]]
  structure(row, 'proof', size)
  const genesis = readGenesis(bytes(row[2], 'proof: genesis'))
  return { form: row[1], stream: genesis.uri, id: sha256(encoded), forkedLength: check(genesis, row) }
}

/** Of a proof that holds: the length at which it compares its two Heads, and the roots there. */
function branchesOf([, form, , one, other, length, peaks, otherPeaks]) {
  const heads = [one, other].map(([signed]) => readHead(signed))
  if (form === 'a') return { length: heads[0].length, roots: heads.map(({ root }) => root) }
  demand(form === 'b', 'resolve: the form of the proof')
  const roots = [peaks, otherPeaks].map((side, at) => (side.length ? bag(side) : heads[at].root))
  return { length: Number(length), roots }
}

/** A Resolve with the proof that shows between which branches it chooses. */
export function checkResolution(signed, proof) {
  const { forkLength, root } = checkResolve(readGenesis(decode(proof)[2]), signed)
  return checkChoice(forkLength, root, proof)
}

/** The same without who signed it. */
export function checkChoice(forkLength, root, proof) {
  checkFork(proof)
  const row = decode(proof)
  const { length, roots } = branchesOf(row)
  demand(row.at(-1) === null, 'resolve: the proof is of a second fork')
  demand(length === forkLength, 'resolve: length')
  demand(roots.some((each) => each.equals(root)), 'resolve: root')
  return true
}
