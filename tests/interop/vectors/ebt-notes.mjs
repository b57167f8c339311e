// What peers say of feeds in EBT (spec/replication.md 2.1).

import { feedId } from './references.mjs'

const SEQUENCE_MAX = 2 ** 30 - 1

function read(json) {
  const value = JSON.parse(json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object')
  const clock = typeof value.clock === 'object' && value.clock !== null ? value.clock : value
  const said = Object.entries(clock).filter(
    ([name, note]) => feedId(name) && Number.isInteger(note) && note >= -1 && note <= 2 * SEQUENCE_MAX + 1,
  )
  return said.map(([name, note]) => [name, note === -1 ? null : { sequence: note >> 1, receive: (note & 1) === 0 }])
}

const write = ({ sequence, receive }) => 2 * Math.min(sequence, SEQUENCE_MAX) + (receive ? 0 : 1)

export function verify({ read: readable, malformed, written }, checks) {
  for (const { what, json, notes } of readable) {
    checks.equal(JSON.stringify(read(json)), JSON.stringify(Object.entries(notes)), what)
  }
  for (const json of malformed) checks.refused(() => read(json), json)
  for (const vector of written) checks.equal(write(vector), vector.note, JSON.stringify(vector))
}
