// Contents that are left out and asked for by their places (spec/replication.md 10.1).

import { longHex } from './long-hex.mjs'
import { decode, encode } from './msgpack.mjs'
import { streamId, streamUri } from './references.mjs'
import { array, bytes, demand, number } from './streams.mjs'

const PLACES_MAX = 256
const CONTENT_BYTES_MAX = 64 * 1024
const ANSWER_BYTES_MAX = 1024 * 1024

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function readChoice(json) {
  const { contents } = JSON.parse(json)
  const rows = isObject(contents) ? Object.entries(contents) : []
  return Object.fromEntries(rows.filter(([name, want]) => streamId(name) && typeof want === 'boolean'))
}

function readQuestion(packet) {
  const [version, stream, rows] = array(decode(packet), 'question', 3)
  demand(version === 1n, 'question: version')
  const places = array(rows, 'places', undefined, PLACES_MAX).map((each) => number(each, 'place', 1, 2 ** 30 - 2))
  demand(places.length > 0, 'no places')
  return { stream: streamUri(bytes(stream, 'stream', 32)), places: places.map(Number) }
}

function readAnswer(packet) {
  demand(packet.length <= ANSWER_BYTES_MAX, 'answer: size')
  const [version, rows] = array(decode(packet), 'answer', 2)
  demand(version === 1n, 'answer: version')
  const contents = array(rows, 'contents', undefined, PLACES_MAX)
  return contents.map((each) => each && bytes(each, 'content', undefined, CONTENT_BYTES_MAX))
}

function checkArguments(args) {
  demand(args.length === 1 && JSON.stringify(args[0]) === '{"version":1}', 'arguments')
}

export function verify({ arguments: args, choices, questions, answers }, checks) {
  for (const each of args.valid) checks.equal(checkArguments(each), undefined, 'arguments')
  for (const each of args.invalid) checks.refused(() => checkArguments(each), `arguments ${JSON.stringify(each)}`)
  for (const { json, wants } of [...choices.written, ...choices.read]) {
    checks.equal(JSON.stringify(readChoice(json)), JSON.stringify(wants), json)
  }
  for (const { json, wants } of choices.written) checks.equal(JSON.stringify({ contents: wants }), json, json)
  for (const { what, stream, places, hex: text } of questions.valid) {
    const packet = longHex(text)
    checks.equal(JSON.stringify(readQuestion(packet)), JSON.stringify({ stream, places }), what)
    checks.that(encode([1, streamId(stream), places]).equals(packet), `${what}: encoded`)
  }
  for (const { what, sizes, hex: text } of answers.valid) {
    const packet = longHex(text)
    const found = readAnswer(packet)
    checks.equal(JSON.stringify(found.map((each) => each && each.length)), JSON.stringify(sizes), what)
    checks.that(encode([1, found]).equals(packet), `${what}: encoded`)
  }
  for (const { rule, hex: text } of questions.invalid) checks.refused(() => readQuestion(longHex(text)), `question: ${rule}`)
  for (const { rule, hex: text } of answers.invalid) checks.refused(() => readAnswer(longHex(text)), `answer: ${rule}`)
}
