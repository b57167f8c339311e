'use strict'
// Lets an ssb-db2 peer carry streams: `qbix-v1` (spec/replication.md 10), in which every message is a segment
// of one entry (spec/streams.md 8), as a feed format of ssb-db2 and of ssb-ebt.
// It checks the form of what the peer stores and that each entry follows the one before. That owners signed the
// Head, and that the entry leads to it, is left to the nodes on either side: this peer only carries.

const crypto = require('crypto')
const ebtFormatFrom = require('ssb-ebt/formats/base')

const NAME = 'qbix-v1'
const PREFIX = `ssb:feed/${NAME}/`
const SEGMENT_BYTES_MAX = 1024 * 1024
const URI = new RegExp(`^${PREFIX}[A-Za-z0-9_-]{43}=$`)

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), crypto.createHash('sha256')).digest()
const base64url = (bytes) => bytes.toString('base64').replace(/\+/g, '-').replace(/\//g, '_')

function demand(holds, rule) {
  if (!holds) throw new Error(`${NAME}: ${rule}`)
}

/** Goes through msgpack (spec/encoding.md) from the left, as far as one asks. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes
    this.at = 0
  }

  take(length) {
    demand(this.at + length <= this.bytes.length, 'truncated')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  array(length) {
    demand(this.take(1)[0] === 0x90 + length, `no array of ${length}`)
  }

  number() {
    const head = this.take(1)[0]
    if (head < 0x80) return head
    demand(head >= 0xcc && head <= 0xce, 'no number in its range')
    return this.take(1 << (head - 0xcc)).readUIntBE(0, 1 << (head - 0xcc))
  }

  bytesOrNil() {
    const head = this.take(1)[0]
    if (head === 0xc0) return null
    demand(head >= 0xc4 && head <= 0xc6, 'no bytes')
    const size = 1 << (head - 0xc4)
    return this.take(this.take(size).readUIntBE(0, size))
  }

  /** Version, stream and index, with which segments and headers begin. */
  place(fields) {
    this.array(fields)
    demand(this.number() === 1, 'version')
    const stream = this.bytesOrNil()
    demand(stream && stream.length === 32, 'no stream')
    return { stream, index: this.number() }
  }
}

function read(segment) {
  demand(segment.length <= SEGMENT_BYTES_MAX, 'too long')
  const reader = new Reader(segment)
  const { stream, index } = reader.place(7)
  reader.array(1)
  const leaf = reader.bytesOrNil()
  demand(leaf, 'no entry')
  reader.array(1)
  reader.bytesOrNil() // the content
  return { stream, index, leaf }
}

/** The entry stands where the segment says. */
function check(segment, previous) {
  const { stream, index, leaf } = read(segment)
  demand(index === (previous ? read(previous).index + 1 : 0), 'not the entry that comes next')
  if (index === 0) return demand(sha256('qbix/stream/1\0', leaf).equals(stream), 'the genesis of another stream')
  const header = new Reader(leaf).place(12)
  demand(header.stream.equals(stream) && header.index === index, 'the entry of another place')
}

function isSegment(value) {
  if (!Buffer.isBuffer(value)) return false
  try {
    return Boolean(read(value))
  } catch {
    return false
  }
}

const feedIdOf = (segment) => PREFIX + base64url(read(segment).stream)
const sequenceOf = (segment) => read(segment).index + 1

/** An entry is one message, whichever Head came with it: it is named by its leaf. */
const messageIdOf = (segment) => `ssb:message/${NAME}/` + base64url(sha256(Buffer.of(0), read(segment).leaf))

function validateBatch(segments, previous, _hmacKey, cb) {
  try {
    segments.forEach((segment, at) => check(segment, at ? segments[at - 1] : previous))
  } catch (error) {
    return cb(error)
  }
  cb()
}

const format = {
  name: NAME,
  encodings: ['js'],
  isAuthor: (id) => typeof id === 'string' && URI.test(id),
  isNativeMsg: isSegment,
  getFeedId: feedIdOf,
  getSequence: sequenceOf,
  getMsgId: messageIdOf,
  validate: (segment, previous, hmacKey, cb) => validateBatch([segment], previous, hmacKey, cb),
  validateBatch,
  fromNativeMsg: (segment) => ({
    author: feedIdOf(segment),
    sequence: sequenceOf(segment),
    timestamp: Date.now(),
    content: { type: NAME, segment: segment.toString('base64') },
  }),
  toNativeMsg: ({ content }) => Buffer.from(content.segment, 'base64'),
}

exports.name = 'qbixV1'
exports.version = '1.0.0'
exports.manifest = {}

/** At once, after ssb-ebt: of formats that come later it does not know what the database holds. */
exports.init = function init(sbot) {
  sbot.db.installFeedFormat(format)
  sbot.ebt.registerFormat(ebtFormatFrom(format))
}
