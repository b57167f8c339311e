// Conversations by EBT (spec/replication.md 2 to 4): nobody says or sends what the page forbids.

import { hex, publicOf, verifySignature } from './primitives.mjs'
import { feedId, fromBase64 } from './references.mjs'

const OTHER = { node: 'peer', peer: 'node' }
const nameOf = (seed) => `@${publicOf(hex(seed)).toString('base64')}.ed25519`

function isSigned(message) {
  const { signature, ...rest } = message
  const key = fromBase64(message.author.slice(1, -'.ed25519'.length), 32)
  const bytes = fromBase64(signature.slice(0, -'.sig.ed25519'.length), 64)
  return verifySignature(key, Buffer.from(JSON.stringify(rest, null, 2)), bytes)
}

/** One side: how much it has of each feed, what it said last about it, and what it was sent. */
class Side {
  has = {}
  notes = {}
  reached = {}

  begin(lost) {
    if (lost) this.has = {}
    this.notes = {}
    this.reached = {}
  }

  say(feed, note) {
    this.notes[feed] = note
    if (note !== -1) this.reached[feed] = note >> 1
  }

  wants(feed) {
    return this.notes[feed] !== undefined && (this.notes[feed] & 1) === 0
  }

  take(feed, sequence) {
    this.reached[feed] = sequence
    this.has[feed] = Math.max(sequence, this.has[feed] ?? 0)
  }
}

function converse({ caller, packets }, sides, checks, what) {
  checks.equal(packets[0].from, OTHER[caller], `${what}: who was called speaks first`)
  packets.forEach(({ from, json }, place) => {
    const value = JSON.parse(json)
    const [speaker, hearer] = [sides[from], sides[OTHER[from]]]
    const where = `${what}, packet ${place}`
    if ('author' in value) {
      const { author: feed, sequence } = value
      checks.that(isSigned(value), `${where}: signature`)
      checks.that(hearer.wants(feed), `${where}: was not asked for`)
      checks.equal(sequence, hearer.reached[feed] + 1, `${where}: not the next one`)
      speaker.has[feed] = Math.max(sequence, speaker.has[feed] ?? 0)
      hearer.take(feed, sequence)
    } else {
      for (const [feed, note] of Object.entries(value)) {
        checks.that(feedId(feed) && Number.isInteger(note) && note >= -1, `${where}: note`)
        const most = Math.max(speaker.has[feed] ?? 0, speaker === sides.peer && feed === sides.peer.name ? Infinity : 0)
        checks.that(note >> 1 <= most, `${where}: says that it has what it can't have`)
        speaker.say(feed, note)
      }
    }
  })
}

export function verify({ node_seed: seed, transcripts }, checks) {
  for (const { what, peer_seed: peerSeed, node_has: log, conversations } of transcripts) {
    const sides = { node: new Side(), peer: new Side() }
    sides.peer.name = nameOf(peerSeed)
    for (const message of log.map((text) => JSON.parse(text))) {
      checks.that(isSigned(message), `${what}: log`)
      sides.node.take(nameOf(seed), message.sequence)
    }
    conversations.forEach((conversation, place) => {
      sides.node.begin(conversation.lost === 'node')
      sides.peer.begin(conversation.lost === 'peer')
      converse(conversation, sides, checks, `${what} (${place})`)
    })
  }
}
