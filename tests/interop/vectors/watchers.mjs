// Watched streams (spec/watchers.md): committees, transactions and certificates, read and checked.

import { bag, leafHash, nodeHash } from './merkle.mjs'
import { decode, encode } from './msgpack.mjs'
import { sha256, verifySignature } from './primitives.mjs'
import { array, ascending, bytes, demand, hashes, number, structure } from './streams.mjs'

const LENGTH_MAX = 2 ** 30 - 1
const EPOCH_MAX = 2 ** 32 - 1
const SEATS_MAX = 256

const plain = (each) => each.toString('hex')
export const H = (domain, ...parts) => sha256(Buffer.concat([Buffer.from(`${domain}\0`), encode(parts)]))

const epochOf = (value, what) => number(value, what, 0, EPOCH_MAX)
const hashOrNil = (value, what) => (value === null ? null : bytes(value, what, 32))
const viewOf = (value) => number(value, 'view', 0, 2 ** 20)
const bits = (value) => value.toString(2).replaceAll('0', '').length

// ---- 2: committees ----

export function readProfile(encoded) {
  const [seats, quorum, watching, confirming, design, proportional] = array(decode(encoded), 'profile', 6)
  const [nA, qA, nW, qW] = [seats, quorum, watching, confirming].map((each) => number(each, 'profile', 1, SEATS_MAX))
  demand(2 * nA < 3 * qA && qA <= nA, 'profile: anchors')
  demand(nW < 2 * qW && qW <= nW, 'profile: watchers')
  number(design, 'profile: design', 0, 333)
  demand(typeof proportional === 'boolean', 'profile: proportional')
  return { anchors: [nA, qA], watchers: [nW, qW], proportional }
}

const xor = (one, other) => one.map((byte, place) => byte ^ other[place])

/** Seats in order, and how many of them decide. `members`: { node, community, voteKey }. */
export function committee(members, seed, target, [n, q], proportional) {
  const rows = members.map((member) => {
    const position = sha256(Buffer.concat([Buffer.from('qbix/position/1\0'), seed, member.node]))
    return { member, distance: Buffer.from(xor(position, target)) }
  })
  rows.sort((one, other) => Buffer.compare(one.distance, other.distance))
  const near = rows.map(({ member }) => member)
  if (near.length <= n) return { seats: near, quorum: Math.floor((2 * near.length) / 3) + 1 }
  const sizes = new Map()
  for (const { community } of members) sizes.set(plain(community), (sizes.get(plain(community)) ?? 0) + 1)
  const capOf = (name) =>
    Math.max(1, proportional ? Math.ceil((2 * n * sizes.get(name)) / members.length) : Math.ceil(n / sizes.size))
  for (let more = 0; ; more++) {
    const taken = new Map()
    const seats = near.filter(({ community }) => {
      const name = plain(community)
      const count = taken.get(name) ?? 0
      if (count >= capOf(name) + more) return false
      taken.set(name, count + 1)
      return true
    })
    if (seats.length >= n) return { seats: seats.slice(0, n), quorum: q }
  }
}

const anchors = (epoch, stream) =>
  committee(epoch.members, epoch.seed, H('qbix/anchors/1', epoch.seed, stream), epoch.profile.anchors, epoch.profile.proportional)

function watchers(epoch, { core, accepts, nonce }) {
  const nonces = [nonce, ...accepts.map((accept) => accept.nonce)]
  const target = H('qbix/watchers/1', epoch.seed, core.hash, nonces)
  return committee(epoch.members, epoch.seed, target, epoch.profile.watchers, epoch.profile.proportional)
}

function checkQuorum({ seats, quorum }, bitmap, joined, domain, body) {
  bytes(bitmap, 'bitmap', Math.ceil(seats.length / 8))
  const voters = Array.from({ length: 8 * bitmap.length }, (_, seat) => seat).filter((seat) => (bitmap[seat >> 3] >> (seat & 7)) & 1)
  demand(voters.every((seat) => seat < seats.length), 'bitmap: a seat that there is not')
  demand(voters.length === quorum, 'quorum: another number of seats')
  bytes(joined, 'votes', 64 * quorum)
  const signed = Buffer.concat([Buffer.from(`${domain}\0`), encode(body)])
  voters.forEach((seat, place) => {
    const vote = joined.subarray(64 * place, 64 * place + 64)
    demand(verifySignature(seats[seat].voteKey, signed, vote), `vote of seat ${seat}`)
  })
  return quorum
}

// ---- 3: slots, values, bases ----

function readSlot(value) {
  const [network, stream, length] = array(value, 'slot', 3)
  bytes(network, 'slot: network', 32)
  bytes(stream, 'slot: stream', 32)
  return { fields: value, network, stream, length: number(length, 'slot: base_length', 0, LENGTH_MAX - 1) }
}

const VALUES = { 0: 'transaction', 1: 'void', 2: 'reanchor', 3: 'genesis', 4: 'empty', 5: 'manifest' }

function readValue(value) {
  const [kind, more] = array(value, 'value', undefined, 2)
  const name = VALUES[number(kind, 'value', 0, 5)]
  if (name === 'transaction' || name === 'manifest') bytes(more, 'value: hash', 32)
  else if (name === 'reanchor') epochOf(more, 'value: to_epoch')
  else demand(value.length === 1, 'value: too many fields')
  return { fields: value, name, more }
}

function readBase(value, length) {
  const [peaks, state, owners, pin] = array(value, 'base', 4)
  demand(hashes(peaks, 'base: peaks').length === bits(length), 'base: another number of peaks')
  hashOrNil(state, 'base: state_root')
  bytes(owners, 'base: owners_hash', 32)
  return { fields: value, peaks, state, owners, pin: epochOf(pin, 'base: pin'), digest: H('qbix/base/1', value) }
}

/** The peaks once one more leaf follows `length` others. */
function grown(peaks, length, leaf) {
  const found = [...peaks]
  let last = leaf
  for (let rest = length; rest & 1; rest >>= 1) last = nodeHash(found.pop(), last)
  return [...found, last]
}

export function authorlessLeaf(stream, length, value) {
  const { name, more } = readValue(value)
  demand(name === 'void' || name === 'reanchor', 'a value with an author')
  const content = name === 'void' ? Buffer.alloc(0) : encode([more])
  return encode([1, stream, length, null, 0, length, null, 0, name, content.length, sha256(content), null])
}

// ---- 4: transactions ----

function readChange(value) {
  const [stream, length, peaks, leaves, root, epoch, nextEpoch, state, owners] = array(value, 'change', 9)
  bytes(stream, 'change: stream', 32)
  const baseLength = number(length, 'change: base_length', 1, LENGTH_MAX - 1)
  demand(hashes(peaks, 'change: peaks').length === bits(baseLength), 'change: another number of peaks')
  hashes(leaves, 'change: leaves')
  demand(leaves.length >= 1 && leaves.length <= 256 && baseLength + leaves.length <= LENGTH_MAX, 'change: leaves')
  const newPeaks = leaves.reduce((found, leaf, place) => grown(found, baseLength + place, leaf), peaks)
  demand(bag(newPeaks).equals(bytes(root, 'change: root', 32)), 'change: another root')
  demand(epochOf(nextEpoch, 'change: next_epoch') >= epochOf(epoch, 'change: epoch'), 'change: the pin goes back')
  hashOrNil(state, 'change: state_root')
  bytes(owners, 'change: owners_hash', 32)
  return { stream, length: baseLength, peaks, epoch, digestAfter: H('qbix/base/1', [newPeaks, state, owners, nextEpoch]) }
}

function readCore(value) {
  const [, network, kind, changeRows, parties, watchEpoch, expiryEpoch, memo] = structure(value, 'core', 8)
  bytes(network, 'core: network', 32)
  demand(typeof kind === 'string' && /^[a-z][a-z0-9._-]{0,63}$/.test(kind), 'core: kind')
  const changes = array(changeRows, 'core: changes', undefined, 8).map(readChange)
  demand(changes.length, 'core: no slot')
  ascending(changes.map(({ stream }) => stream), Buffer.compare, 'core: streams')
  demand(hashes(parties, 'core: parties').length <= 16, 'core: parties')
  ascending(parties, Buffer.compare, 'core: parties')
  epochOf(expiryEpoch, 'core: expiry_epoch')
  hashOrNil(memo, 'core: memo')
  return { network, changes, parties, watchEpoch: epochOf(watchEpoch, 'core: watch_epoch'), hash: H('qbix/core/1', value) }
}

function readAccept(value, core) {
  const [party, stream, length, nonce, signature] = array(value, 'accept', 5)
  bytes(party, 'accept: party', 32)
  bytes(nonce, 'accept: nonce', 32)
  bytes(signature, 'accept: signature', 64)
  number(length, 'accept: base_length', 1, LENGTH_MAX - 1)
  demand(core.parties.some((each) => each.equals(party)), 'accept: of a stranger')
  demand(core.changes.some((each) => each.stream.equals(stream) && BigInt(each.length) === length), 'accept: for another slot')
  return { party, stream, length, nonce, signature }
}

export function readSignedTx(value) {
  const [txRow, signatureRows] = array(value, 'signed transaction', 2)
  demand(encode(value).length <= 64 * 1024, 'signed transaction: size')
  const [, coreRow, acceptRows, nonce] = structure(txRow, 'transaction', 4)
  const core = readCore(coreRow)
  const accepts = array(acceptRows, 'accepts', undefined, 128).map((row) => readAccept(row, core))
  ascending(accepts.map(({ party, stream }) => Buffer.concat([party, stream])), Buffer.compare, 'accepts')
  const signatures = array(signatureRows, 'signatures', undefined, 512).map((row) => {
    const [change, owner, signature] = array(row, 'signature', 3)
    bytes(signature, 'signature', 64)
    return { change: number(change, 'signature: change', 0, core.changes.length - 1), owner: number(owner, 'signature: owner', 0, 63), signature }
  })
  ascending(signatures, (one, other) => one.change - other.change || one.owner - other.owner, 'signatures')
  const commitment = H('qbix/nonce/1', bytes(nonce, 'nonce', 32))
  const hash = sha256(Buffer.concat([Buffer.from('qbix/tx/1\0'), encode(txRow)]))
  const accompanied = accepts.length === core.parties.length * core.changes.length
  return { core, accepts, nonce, signatures, commitment, hash, accompanied }
}

/** `keyOf(stream)`: of its only owner. */
export function checkSigners({ core, accepts, signatures, commitment, hash }, keyOf) {
  for (const { party, stream, length, nonce, signature } of accepts) {
    const body = encode([core.hash, commitment, party, stream, length, nonce])
    demand(verifySignature(party, Buffer.concat([Buffer.from('qbix/accept/1\0'), body]), signature), 'accept: signature')
  }
  core.changes.forEach(({ stream }, place) => {
    const theirs = signatures.filter(({ change }) => change === place)
    demand(theirs.length === 1 && theirs[0].owner === 0, 'signatures: not exactly enough')
    demand(verifySignature(keyOf(stream), Buffer.concat([Buffer.from('qbix/txsig/1\0'), hash]), theirs[0].signature), 'owner: signature')
  })
  return true
}

// ---- 6: certificates ----

function checkCommits(epoch, slot, base, view, value, bitmap, votes) {
  demand(base.pin === epoch.number, 'an epoch that is not certified')
  const body = [...slot.fields, base.digest, base.pin, viewOf(view), value.fields]
  return checkQuorum(anchors(epoch, slot.stream), bitmap, votes, 'qbix/commit/1', body)
}

export function checkAc(encoded, epoch) {
  const [slotRow, base, number_, view, valueRow, newview, bitmap, votes] = array(decode(encoded), 'AC', 8)
  const slot = readSlot(slotRow)
  const value = readValue(valueRow)
  demand(value.name !== 'empty', 'AC: nothing')
  demand(epochOf(number_, 'AC: epoch') === epoch.number, 'an epoch that is not certified')
  demand((viewOf(view) === 0) === (hashOrNil(newview, 'AC: newview_digest') === null), 'AC: NEWVIEW')
  const body = [...slot.fields, bytes(base, 'AC: base_digest', 32), number_, view, value.fields, newview]
  checkQuorum(anchors(epoch, slot.stream), bitmap, votes, 'qbix/lock/1', body)
  return sha256(encoded)
}

const decision = (slot, base, value) => H('qbix/decision/1', ...slot.fields, base.digest, value.fields)

/** Number of votes, decisions, and digests of the bases after them. */
export function checkFc(encoded, epoch) {
  demand(encoded.length <= 2 ** 20, 'FC: size')
  const [form, ...row] = array(decode(encoded), 'FC')
  if (form === 0n) return checkPaid(row, epoch)
  demand(form === 1n, 'FC: neither form')
  return checkBare(row, epoch)
}

function checkPaid(row, epoch) {
  const [signed, commitRows, draw, bitmap, confirmRows] = array(row, 'FC', 5)
  const tx = readSignedTx(signed)
  const { changes, network, watchEpoch } = tx.core
  array(commitRows, 'FC: COMMITs', changes.length)
  array(confirmRows, 'FC: CONFIRMs', changes.length)
  demand(epochOf(draw, 'FC: draw') >= watchEpoch, 'FC: drawn too early')
  demand(draw === BigInt(epoch.number), 'an epoch that is not certified')
  const drawn = watchers(epoch, tx)
  const value = readValue([0n, tx.hash])
  let votes = 0
  const decisions = changes.map(({ stream, length, peaks, epoch: pin }, place) => {
    const [state, owners, view, seats, commits] = array(commitRows[place], 'FC: COMMITs', 5)
    const slot = readSlot([network, stream, BigInt(length)])
    const base = readBase([peaks, state, owners, pin], length)
    votes += checkCommits(epoch, slot, base, view, value, seats, commits)
    votes += checkQuorum(drawn, bitmap, confirmRows[place], 'qbix/confirm/1', [...slot.fields, pin, view, tx.hash, draw])
    return decision(slot, base, value)
  })
  return { votes, decisions, after: changes.map(({ digestAfter }) => digestAfter) }
}

function checkBare(row, epoch) {
  const [slotRow, baseRow, view, valueRow, manifest, bitmap, commits] = array(row, 'FC', 7)
  const slot = readSlot(slotRow)
  const base = readBase(baseRow, slot.length)
  const value = readValue(valueRow)
  demand(value.name !== 'transaction' && value.name !== 'empty', 'FC: a value that is not decided so')
  demand((slot.length === 0) === (value.name === 'genesis'), 'FC: slot 0')
  demand((manifest === null) === (value.name !== 'manifest'), 'FC: manifest')
  if (manifest !== null) demand(sha256(bytes(manifest, 'FC: manifest', undefined, 512 * 1024)).equals(value.more), 'FC: another manifest')
  if (value.name === 'reanchor') demand(value.more > BigInt(base.pin), 'FC: REANCHOR goes nowhere')
  const votes = checkCommits(epoch, slot, base, view, value, bitmap, commits)
  return { votes, decisions: [decision(slot, base, value)], after: afterNothing(slot, base, value) }
}

function afterNothing(slot, base, value) {
  if (value.name !== 'void' && value.name !== 'reanchor') return []
  const leaf = leafHash(authorlessLeaf(slot.stream, slot.length, value.fields))
  const pin = value.name === 'void' ? base.pin : value.more
  return [H('qbix/base/1', [grown(base.peaks, slot.length, leaf), base.state, base.owners, pin])]
}
