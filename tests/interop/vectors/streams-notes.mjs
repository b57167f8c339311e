// What peers say of streams in EBT, and how they call for that conversation (spec/replication.md 10).

import { hex } from './primitives.mjs'
import { streamId, streamUri } from './references.mjs'
import { demand } from './streams.mjs'

const LENGTH_MAX = 2 ** 30 - 1
const FORMATS = ['qbix-v1-seg', 'qbix-v1']

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

function read(json) {
  const value = JSON.parse(json)
  demand(isObject(value), 'no object')
  const said = Object.entries(isObject(value.clock) ? value.clock : value).filter(
    ([name, note]) => streamId(name) && Number.isInteger(note) && note >= -1 && note <= 2 * LENGTH_MAX + 1,
  )
  return said.map(([name, note]) => [name, note === -1 ? null : { length: note >> 1, receive: (note & 1) === 0 }])
}

const noteOf = ({ length, receive }) => (length === null ? -1 : 2 * length + (receive ? 0 : 1))

function formatOf([options]) {
  demand(isObject(options) && options.version === 3, 'expected {version: 3}')
  demand(FORMATS.includes(options.format), `Unknown format: ${options.format}`)
  return options.format
}

function checkNames({ valid, invalid }, checks) {
  for (const { id, uri } of valid) {
    checks.equal(streamUri(hex(id)), uri, `${id}: URI`)
    checks.equal(streamId(uri)?.toString('hex'), id, uri)
  }
  for (const { rule, uri } of invalid) checks.equal(streamId(uri), null, rule)
}

function checkArguments({ valid, refused }, checks) {
  for (const { args, format } of valid) checks.equal(formatOf(args), format, format)
  for (const { rule, args, error } of refused) {
    checks.refused(() => formatOf(args), rule)
    if (!error) continue
    try {
      formatOf(args)
    } catch ({ message }) {
      checks.equal(message, error, `${rule}: error`)
    }
  }
}

export function verify({ names, read: readable, malformed, written, arguments: args }, checks) {
  checkNames(names, checks)
  for (const { what, json, notes } of readable) {
    checks.equal(JSON.stringify(read(json)), JSON.stringify(Object.entries(notes)), what)
  }
  for (const json of malformed) checks.refused(() => read(json), json)
  for (const vector of written) {
    checks.equal(JSON.stringify({ [vector.uri]: noteOf(vector) }), vector.json, vector.json)
  }
  checkArguments(args, checks)
}
