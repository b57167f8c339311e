// What peers tell each other about Heads (spec/gossip.md 1), and whether what the messages show holds.

import { longHex } from './long-hex.mjs'
import { bag, spots } from './merkle.mjs'
import { decode, encode } from './msgpack.mjs'
import { hex, sha256 } from './primitives.mjs'
import { streamUri } from './references.mjs'
import {
  array, ascending, bytes, checkFork, checkPrefix, checkResolution, demand, hashes, number, readHead,
} from './streams.mjs'

const PACKET_BYTES_MAX = 128 * 1024
const PROOF_BYTES_MAX = 64 * 1024
const GENESIS_BYTES_MAX = 16 * 1024
const LISTENED_MAX = 1024

/** Who signed; their form only, as the genesis that says whose signatures count is not in the message. */
function readSigners(signatures) {
  const signers = array(signatures, 'signatures').map((row) => {
    const [index, signature] = array(row, 'signature', 2)
    bytes(signature, 'signature', 64)
    return number(index, 'signature: owner', 0, 63)
  })
  ascending(signers, (one, other) => one - other, 'signatures')
  return signers
}

function readResolve(value) {
  const [body, signatures] = array(value, 'SignedResolve', 2)
  const [version, stream, length, root] = array(body, 'Resolve', 4)
  demand(version === 1n, 'Resolve: version')
  return {
    stream: streamUri(bytes(stream, 'Resolve: stream', 32)),
    length: number(length, 'Resolve: fork_length', 1, 2 ** 30 - 1),
    root: plain(bytes(root, 'Resolve: chosen_root', 32)),
    signed_by: readSigners(signatures),
  }
}

/** [SignedHead, chain] */
function readShown(value) {
  const [signed, chain] = array(value, 'Head', 2)
  const { stream, length, root, timestamp, signatures } = readHead(signed)
  const signers = readSigners(signatures)
  for (const link of array(chain, 'chain', undefined, 8)) {
    const [header, content, path] = array(link, 'change', 3)
    bytes(header, 'change: header')
    bytes(content, 'change: content')
    hashes(path, 'change: path')
  }
  return { stream: streamUri(stream), length, root: plain(root), timestamp: Number(timestamp), signed_by: signers, changes: chain.length }
}

const plain = (each) => each.toString('hex')
const list = (rows, name) => hashes(rows, name).map(plain)

const readStreams = (rows) =>
  array(rows, 'streams', undefined, LISTENED_MAX).map((stream) => streamUri(bytes(stream, 'stream', 32)))

const about = (kind) => ([asked, shown, at, peakRows, frontierRows]) => {
  const length = number(at, 'length', 1, 2 ** 30 - 1)
  const [peaks, frontier] = [list(peakRows, 'peaks'), list(frontierRows, 'frontier')]
  demand(!peaks.length || peaks.length === spots(length).length, 'peaks: number')
  return { kind, number: number(asked, 'number'), head: readShown(shown), length, peaks, frontier }
}

const KINDS = {
  heads: [1, ([rows]) => ({ kind: 'heads', heads: array(rows, 'heads', undefined, 64).map(readShown) })],
  compare: [5, about('compare')],
  continues: [5, ([asked, shown, rows, peakRows, endRows]) => ({
    kind: 'continues', number: number(asked, 'number'), head: readShown(shown),
    frontier: list(rows, 'frontier'), peaks: list(peakRows, 'peaks'), end: list(endRows, 'end'),
  })],
  shorter: [5, about('shorter')],
  unknown: [1, ([asked]) => ({ kind: 'unknown', number: number(asked, 'number') })],
  proofs: [1, ([rows]) => ({
    kind: 'proofs',
    ids: array(rows, 'proofs', undefined, 8).map((proof) => plain(sha256(bytes(proof, 'proof', undefined, PROOF_BYTES_MAX)))),
  })],
  listen: [2, ([begun, ended]) => ({ kind: 'listen', begun: readStreams(begun), ended: readStreams(ended) })],
  geneses: [1, ([rows]) => ({
    kind: 'geneses',
    streams: array(rows, 'geneses', undefined, 64).map((each) =>
      streamUri(sha256(Buffer.concat([Buffer.from('qbix/stream/1\0'), bytes(each, 'genesis', undefined, GENESIS_BYTES_MAX)])))),
  })],
  resolve: [2, ([signed, proof]) => ({
    kind: 'resolve',
    ...readResolve(signed),
    proof: plain(sha256(bytes(proof, 'proof', undefined, PROOF_BYTES_MAX))),
  })],
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

/** What the message says of logs, as far as it shows it itself. */
function holds({ kind, number: answered, head, length, peaks, frontier, end }, asked, packet) {
  if (kind === 'proofs') return decode(packet)[2].every(checkFork)
  if (kind === 'resolve') return checkResolution(...decode(packet).slice(2))
  if (!frontier) return true
  const whole = { length: head.length, root: hex(head.root) }
  if (kind !== 'continues') return Boolean(checkPrefix(whole, length, peaks.map(hex), frontier.map(hex)))
  const leads = (at, rows, rest) => Boolean(checkPrefix(whole, at, rows.map(hex), rest.map(hex)))
  if (end.length && !leads(head.length, end, [])) return false
  const bare = !asked.peaks.length
  if (bare && bag(peaks.map(hex)).toString('hex') !== asked.head.root) return false
  return leads(asked.length, bare ? peaks : asked.peaks, frontier) && answered === asked.number
}

function checkArguments(args) {
  demand(args.length === 1 && JSON.stringify(args[0]) === '{"version":1}', 'arguments')
}

export function verify({ arguments: args, valid, uncounted, invalid }, checks) {
  for (const each of args.valid) checks.equal(checkArguments(each), undefined, `arguments ${JSON.stringify(each)}`)
  for (const each of args.invalid) checks.refused(() => checkArguments(each), `arguments ${JSON.stringify(each)}`)
  for (const { what, message, asked, hex: text } of valid) {
    const packet = longHex(text)
    const found = read(packet)
    checks.equal(JSON.stringify(found), JSON.stringify(message), what)
    checks.that(encode(decode(packet)).equals(packet), `${what}: encoded again`)
    checks.that(holds(found, asked, packet), `${what}: what it shows`)
  }
  for (const { what, hex: text } of uncounted) {
    const packet = longHex(text)
    read(packet)
    checks.refused(() => checkResolution(...decode(packet).slice(2)), what)
  }
  for (const { rule, hex: text } of invalid) checks.refused(() => read(longHex(text)), rule)
}
