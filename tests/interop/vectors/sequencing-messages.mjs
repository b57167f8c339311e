// What writers, the sequencer and owners say to each other (spec/sequencing.md 1), and whether it holds.

import { longHex } from './long-hex.mjs'
import { leafHash, rootOf } from './merkle.mjs'
import { decode, encode } from './msgpack.mjs'
import { hex, sha256 } from './primitives.mjs'
import { streamUri } from './references.mjs'
import { array, bytes, checkChoice, checkFork, checkIntent, checkSignature, demand, number, readGenesis, readHeader, structure } from './streams.mjs'

const PACKET_BYTES_MAX = 128 * 1024
const LENGTH_MAX = 2 ** 30 - 1

const plain = (each) => each.toString('hex')

function text(value, what, most) {
  demand(typeof value === 'string' && Buffer.byteLength(value) <= most, what)
  return value
}

function identity(stream, length, root) {
  return {
    stream: streamUri(bytes(stream, 'stream', 32)),
    length: number(length, 'length', 1, LENGTH_MAX),
    root: plain(bytes(root, 'root', 32)),
  }
}

function readIntent([asked, said, content]) {
  const [stream, author, authorSeq, baseLength, ...rest] = array(said, 'intent', 10)
  const encoded = encode([1n, stream, baseLength, author, authorSeq, baseLength, ...rest])
  const header = readHeader(encoded)
  demand(header.isIntent, 'intent: unsigned')
  if (content !== null) {
    bytes(content, 'content', undefined, 64 * 1024)
    demand(content.length === header.contentSize && sha256(content).equals(header.contentHash), 'content: another')
  }
  return {
    kind: 'intent', number: number(asked, 'number'), stream: streamUri(stream), author: plain(author),
    author_seq: header.authorSeq, base_length: header.baseLength, base_root: plain(header.baseRoot),
    timestamp: Number(header.timestamp), entry_kind: header.kind, content_size: header.contentSize, content: content !== null,
  }
}

function readRun(first, leaves, body) {
  const begins = number(first, 'first', 0, LENGTH_MAX)
  const rows = array(leaves, 'leaves', undefined, 64)
  rows.forEach((leaf, place) => bytes(leaf, 'leaf', undefined, begins + place ? 512 : 16 * 1024))
  const [, stream, length, root, timestamp] = structure(body, 'Head', 5)
  const head = identity(stream, length, root)
  demand(begins + rows.length === head.length, 'run: length')
  return { first: begins, leaf_hashes: rows.map((leaf) => plain(leafHash(leaf))), ...head, timestamp: number(timestamp, 'timestamp') }
}

function readPropose([first, leaves, body]) {
  demand(leaves.length > 0, 'propose: leaves')
  return { kind: 'propose', ...readRun(first, leaves, body) }
}

function readVote(value) {
  const [first, leaves, body, owner, signature] = array(value, 'vote', 5)
  bytes(signature, 'signature', 64)
  return { ...readRun(first, leaves, body), owner: number(owner, 'owner', 0, 63) }
}

function readChoice([signed, proof]) {
  const [body, signatures] = array(signed, 'choice', 2)
  const [, stream, forkLength, root] = structure(body, 'choice', 4)
  const [[owner, signature]] = array(signatures, 'choice: signatures', 1).map((row) => array(row, 'choice: signature', 2))
  bytes(signature, 'choice: signature', 64)
  bytes(proof, 'choice: proof', undefined, 64 * 1024)
  demand(['a', 'b'].includes(checkFork(proof).form), 'choice: proof')
  return { kind: 'choice', ...identity(stream, forkLength, root), owner: number(owner, 'owner', 0, 63), proof: plain(sha256(proof)) }
}

function readVotes([stream, votes]) {
  const uri = streamUri(bytes(stream, 'stream', 32))
  const read = array(votes, 'votes', undefined, 2).map(readVote)
  demand(new Set(read.map((vote) => vote.owner)).size === read.length, 'votes: owners')
  demand(read.every((vote) => vote.stream === uri), 'votes: stream')
  return { kind: 'votes', stream: uri, votes: read }
}

const KINDS = {
  intent: [3, readIntent],
  placed: [2, ([asked, index]) => ({ kind: 'placed', number: number(asked, 'number'), index: number(index, 'index', 1, LENGTH_MAX - 1) })],
  declined: [3, ([asked, later, reason]) => {
    demand(typeof later === 'boolean', 'later')
    return { kind: 'declined', number: number(asked, 'number'), later, reason: text(reason, 'reason', 200) }
  }],
  propose: [3, readPropose],
  signature: [5, ([stream, length, root, owner, signature]) => {
    bytes(signature, 'signature', 64)
    return { kind: 'signature', ...identity(stream, length, root), owner: number(owner, 'owner', 0, 63) }
  }],
  recall: [1, ([stream]) => ({ kind: 'recall', stream: streamUri(bytes(stream, 'stream', 32)) })],
  votes: [2, readVotes],
  choice: [2, readChoice],
  refused: [4, ([stream, length, root, reason]) => ({ kind: 'refused', ...identity(stream, length, root), reason: text(reason, 'reason', 200) })],
}

function read(packet) {
  demand(packet.length <= PACKET_BYTES_MAX, 'packet: size')
  const [version, kind, ...rest] = array(decode(packet), 'message')
  demand(version === 1n, 'message: version')
  demand(typeof kind === 'string' && Object.hasOwn(KINDS, kind), 'message: kind')
  const [fields, readFields] = KINDS[kind]
  demand(rest.length === fields, 'message: fields')
  return readFields(rest)
}

/** Roots, and the signatures of authors and owners: of the stream that the file names. */
function holds(genesis, proposed, [, kind, ...rest]) {
  if (kind === 'intent') {
    const [stream, author, authorSeq, baseLength, ...more] = rest[1]
    checkIntent(readHeader(encode([1n, stream, baseLength, author, authorSeq, baseLength, ...more])))
  } else if (kind === 'propose') {
    const [first, leaves, body] = rest
    const before = Number(first) ? [leafHash(genesis.leaf)] : []
    demand(rootOf([...before, ...leaves.map(leafHash)]).equals(body[3]), 'propose: root')
    leaves.forEach((leaf, place) => { if (Number(first) + place) checkIntent(readHeader(leaf)) })
    proposed.set(plain(body[3]), body)
  } else if (kind === 'choice') {
    const [[body, [[owner, signature]]], proof] = rest
    checkChoice(Number(body[2]), body[3], proof)
    checkSignature(readGenesis(decode(proof)[2]).owners[Number(owner)].key, 'qbix/resolve/1', body, signature)
  } else if (kind === 'votes') {
    for (const [first, leaves, body, owner, signature] of rest[1]) {
      if (leaves.length) holds(genesis, proposed, [1n, 'propose', first, leaves, body])
      checkSignature(genesis.owners[Number(owner)].key, 'qbix/head/1', body, signature)
    }
  } else if (kind === 'signature') {
    const [, , root, owner, signature] = rest
    checkSignature(genesis.owners[Number(owner)].key, 'qbix/head/1', proposed.get(plain(root)), signature)
  }
  return true
}

function checkArguments(args) {
  demand(args.length === 1 && JSON.stringify(args[0]) === '{"version":1}', 'arguments')
}

export function verify({ genesis: encoded, arguments: args, valid, invalid }, checks) {
  const genesis = readGenesis(hex(encoded))
  const proposed = new Map()
  for (const each of args.valid) checks.equal(checkArguments(each), undefined, `arguments ${JSON.stringify(each)}`)
  for (const each of args.invalid) checks.refused(() => checkArguments(each), `arguments ${JSON.stringify(each)}`)
  for (const { what, message, hex: packed } of valid) {
    const packet = longHex(packed)
    checks.equal(JSON.stringify(read(packet)), JSON.stringify(message), what)
    checks.that(encode(decode(packet)).equals(packet), `${what}: encoded again`)
    checks.that(holds(genesis, proposed, decode(packet)), `${what}: what it shows`)
  }
  for (const { rule, hex: packed } of invalid) checks.refused(() => read(longHex(packed)), rule)
}
