// Committees, transactions and certificates as spec/vectors/watchers-certificates.json has them.

import { longHex } from './long-hex.mjs'
import { decode, encode } from './msgpack.mjs'
import { hex, publicOf, sha256 } from './primitives.mjs'
import { authorlessLeaf, checkAc, checkFc, checkSigners, committee, readProfile, readSignedTx } from './watchers.mjs'

const named = (text) => sha256(Buffer.from(text))
const keyOf = (name) => publicOf(named(`key of ${name}`))
const plain = (each) => each.toString('hex')

/** As the file says under `members`. */
function membersOf(nodes, communities, epoch) {
  return Array.from({ length: nodes }, (_, place) => ({
    place,
    node: named(`node ${place}`),
    community: named(`community ${place % communities}`),
    voteKey: keyOf(`vote ${place} ${epoch}`),
  }))
}

const epochFrom = ({ number, nodes, communities, profile }) => ({
  number,
  seed: named(`seed ${number}`),
  members: membersOf(nodes, communities, number),
  profile: readProfile(hex(profile)),
})

function both({ valid, invalid }, section, checks, check, compare = () => {}) {
  for (const vector of valid) {
    const encoded = longHex(vector.hex)
    const what = `${section}: ${vector.what}`
    checks.that(encode(decode(encoded)).equals(encoded), `${what}: encoded again`)
    compare(vector, check(encoded, vector), what)
  }
  for (const vector of invalid) checks.refused(() => check(longHex(vector.hex), vector), `${section}: ${vector.rule}`)
}

function checkCommittee(vector, checks) {
  const { what, nodes, communities, target, n, q, proportional } = vector
  const { seats, quorum } = committee(membersOf(nodes, communities, 0), named('seed 0'), hex(target), [n, q], proportional)
  checks.equal(seats.map(({ place }) => place).join(), vector.seats.join(), `${what}: seats`)
  checks.equal(quorum, vector.quorum, `${what}: quorum`)
}

function fromPlain([kind, more]) {
  if (more === undefined) return [BigInt(kind)]
  return [BigInt(kind), typeof more === 'string' ? hex(more) : BigInt(more)]
}

export function verify(vectors, checks) {
  const epochs = Object.fromEntries(Object.entries(vectors.epochs).map(([name, each]) => [name, epochFrom(each)]))
  const ownerOf = (stream) => keyOf(vectors.owners[plain(stream)])

  both(vectors.profiles, 'profile', checks, readProfile)
  for (const each of vectors.committees) checkCommittee(each, checks)
  for (const { value, stream, base_length: length, leaf } of vectors.authorless) {
    checks.equal(plain(authorlessLeaf(hex(stream), length, fromPlain(value))), leaf, `leaf at ${length}`)
  }
  both(vectors.transactions, 'transaction', checks, (encoded) => readSignedTx(decode(encoded)), (vector, tx, what) => {
    checks.equal(plain(tx.core.hash), vector.core_hash, `${what}: core_hash`)
    checks.equal(plain(tx.commitment), vector.commitment, `${what}: commitment`)
    checks.equal(plain(tx.hash), vector.h, `${what}: h`)
    checks.equal(tx.accompanied, vector.accompanied, `${what}: accompanied`)
    checks.that(checkSigners(tx, ownerOf), `${what}: signatures`)
  })
  both(vectors.acs, 'AC', checks, (encoded) => checkAc(encoded, epochs.small), (vector, digest, what) => {
    checks.equal(plain(digest), vector.digest, `${what}: digest`)
  })
  both(vectors.certificates, 'FC', checks, (encoded, { epoch }) => checkFc(encoded, epochs[epoch]), (vector, found, what) => {
    checks.equal(found.votes, vector.votes, `${what}: votes`)
    checks.equal(found.decisions.map(plain).join(), vector.decisions.join(), `${what}: decisions`)
    checks.equal(found.after.map(plain).join(), (vector.digests_after ?? []).join(), `${what}: bases after`)
  })
}
