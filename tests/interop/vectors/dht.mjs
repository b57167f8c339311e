// The DHT (spec/dht.md): endpoints and records, as its datagrams carry them.

import { decode, encode } from './msgpack.mjs'
import { sha256, verifySignature } from './primitives.mjs'
import { array, ascending, bytes, demand, number } from './streams.mjs'

export const RECORD_BYTES_MAX = 700

export const H = (domain, row) => sha256(Buffer.concat([Buffer.from(domain), encode(row)]))

const byBytes = (one, other) => Buffer.compare(one, other)
const byText = (one, other) => (one < other ? -1 : one > other ? 1 : 0)

/** IPv6 and IPv4 addresses that one host can have. */
export function readEndpoint([ip, port], what) {
  demand(Buffer.isBuffer(ip) && (ip.length === 4 || ip.length === 16), `${what}: address`)
  if (ip.length === 4) demand(ip[0] !== 0 && ip[0] < 224, `${what}: no address of a host`)
  else {
    const text = ip.toString('hex')
    demand(!/^(ff|fe[89ab])/.test(text), `${what}: no address of a host`)
    demand(/^0{31}1$/.test(text) || !/^(0{24}|0{20}ffff|0064ff9b0{16}|20010000|2002)/.test(text), `${what}: IPv4 as IPv6`)
  }
  return [ip.toString('hex'), number(port, `${what}: port`, 1, 65535)]
}

const readAddresses = (rows) => array(rows, 'addresses', undefined, 8).map((row) => readEndpoint(array(row, 'address', 2), 'address'))

function readName(value, what) {
  demand(typeof value === 'string' && /^[a-z][a-z0-9._-]{0,63}$/.test(value), `${what}: no name`)
  return value
}

function readDomain(value) {
  demand(typeof value === 'string' && value.length <= 253, 'domain: name')
  for (const label of value.split('.')) demand(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label), 'domain: label')
  return value
}

const KINDS = {
  node: [2, ([addresses, names], signer) => {
    readAddresses(addresses)
    const capabilities = array(names, 'capabilities', undefined, 8).map((each) => readName(each, 'capability'))
    ascending(capabilities, byText, 'capabilities')
    return sha256(signer)
  }],
  provider: [3, ([what, subject, addresses]) => {
    readAddresses(addresses)
    return H('qbix/dht-provider/1\0', [readName(what, 'what is held'), bytes(subject, 'subject', 32)])
  }],
  domain: [2, ([name, nodes]) => {
    const keys = array(nodes, 'nodes', undefined, 8).map((each) => bytes(each, 'node', 32))
    ascending(keys, byBytes, 'nodes')
    return H('qbix/dht-domain/1\0', [readDomain(name)])
  }],
}

/** Checks form and signature; times are for who has a clock. */
export function readRecord(encoded) {
  demand(encoded.length <= RECORD_BYTES_MAX, 'record: size')
  const [body, signature] = array(decode(encoded), 'record', 2)
  const row = array(decode(bytes(body, 'body')), 'body')
  const [version, kind, signer, sequence, expires, ...rest] = row
  demand(version === 1n, 'record: version')
  demand(typeof kind === 'string' && Object.hasOwn(KINDS, kind), 'record: kind')
  const [fields, read] = KINDS[kind]
  demand(rest.length === fields, 'record: fields')
  bytes(signer, 'signer', 32)
  number(expires, 'expires')
  const key = read(rest, signer)
  const signed = Buffer.concat([Buffer.from('qbix/dht-record/1\0'), body])
  demand(verifySignature(signer, signed, bytes(signature, 'signature', 64)), 'record: signature')
  return { row, key, sequence: number(sequence, 'sequence'), hash: sha256(encoded) }
}

export const newer = (one, other) =>
  one.sequence === other.sequence ? byBytes(one.hash, other.hash) > 0 : one.sequence > other.sequence

/** A value as the files show it. */
export function plain(value) {
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (typeof value === 'bigint') return Number(value)
  return Array.isArray(value) ? value.map(plain) : value
}
