// muxrpc packets: flags, length of the body, request number, body (packet-stream-codec).

import { hex } from './primitives.mjs'

const KINDS = ['binary', 'text', 'json']
const GOODBYE = '00'.repeat(9)

function encode({ stream, end, kind, request, body }) {
  const header = Buffer.alloc(9)
  header[0] = (stream ? 8 : 0) | (end ? 4 : 0) | KINDS.indexOf(kind)
  header.writeUInt32BE(hex(body).length, 1)
  header.writeInt32BE(request, 5)
  return header.toString('hex') + body
}

export function verify({ packets, goodbye }, checks) {
  for (const packet of packets) {
    checks.equal(encode(packet), packet.packet, packet.what)
    if (packet.kind === 'json') checks.that(isJson(hex(packet.body)), `${packet.what}: the body is not JSON`)
  }
  checks.equal(goodbye, GOODBYE, 'goodbye')
}

function isJson(bytes) {
  try {
    JSON.parse(bytes)
    return true
  } catch {
    return false
  }
}
