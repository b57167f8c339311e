'use strict'
// A Scuttlebutt peer under remote control: the same commands and events over either database.
// One process is one peer on loopback; events go out as JSON lines, commands come in as JSON lines.
// README.md lists the flags, the commands and the events.

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const { once } = require('events')
const readline = require('readline')
const { parseArgs, promisify } = require('util')
const pull = require('pull-stream')
const ssbKeys = require('ssb-keys')
const { contentOf, KINDS } = require('./contents.cjs')

const FLAGS = {
  dir: { type: 'string' },
  seed: { type: 'string' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  caps: { type: 'string', default: require('ssb-caps').shs },
  mode: { type: 'string', default: 'ebt' },
  messages: { type: 'string', default: '0' },
  content: { type: 'string', default: 'simple' },
  size: { type: 'string', default: '200' },
  'same-time': { type: 'boolean', default: false },
  replicate: { type: 'string', multiple: true, default: [] },
  connect: { type: 'string', multiple: true, default: [] },
  expect: { type: 'string', multiple: true, default: [] },
  timeout: { type: 'string' },
  exit: { type: 'boolean', default: false },
  dump: { type: 'string' },
  streams: { type: 'boolean', default: false },
  blobs: { type: 'boolean', default: false },
  'add-blob': { type: 'string', multiple: true, default: [] },
  verbose: { type: 'boolean', default: false },
}
const MODES = ['ebt', 'history']
const BATCH = 500 // messages that are written at once
const LOOK_MS = 20 // how often --expect is looked at
const DIAL_AGAIN_MS = 250
const DIALS_MAX = 40
const CLOSE_PATIENCE_MS = 3000
const BLOB_BYTES_MAX = 5 * 1024 * 1024

console.log = console.error // what libraries print must not get between the events

const startedAt = process.hrtime.bigint()
const sinceStart = () => Number(process.hrtime.bigint() - startedAt) / 1e9
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')

function sayError(where, error) {
  const messages = []
  for (let cause = error; cause; cause = cause.cause) messages.push(cause.message || String(cause))
  say('error', { where, message: messages.join(': ') })
}

function spent() {
  const { user, system } = process.cpuUsage()
  return { cpu_s: (user + system) / 1e6, wall_s: sinceStart(), rss_bytes: process.memoryUsage().rss }
}

function usage(problem) {
  console.error(`${problem}\nflags: ${Object.keys(FLAGS).map((flag) => '--' + flag).join(' ')} (see README.md)`)
  process.exit(2)
}

function readFlags() {
  let flags
  try {
    flags = parseArgs({ options: FLAGS }).values
  } catch (error) {
    usage(error.message)
  }
  if (!flags.dir) usage('--dir is missing')
  if (!MODES.includes(flags.mode)) usage(`--mode is one of ${MODES.join(', ')}`)
  if (!KINDS.includes(flags.content)) usage(`--content is one of ${KINDS.join(', ')}`)
  return flags
}

const keysOfSeed = (seed) => ssbKeys.generate(null, crypto.createHash('sha256').update(seed).digest())
const feedOf = (name) => (/^(@|ssb:)/.test(name) ? name : keysOfSeed(name).id)

/** Full multiserver addresses stay as they are; HOST:PORT:SEED is completed with the key of the seed. */
function addressOf(address) {
  if (address.startsWith('net:')) return address
  const [host, port, seed] = address.split(':')
  return `net:${host}:${port}~shs:${keysOfSeed(seed).public.replace('.ed25519', '')}`
}

function open(engine, flags, keys) {
  const { host, caps } = flags
  const port = Number(flags.port)
  const stack = require('secret-stack')({ appKey: caps })
  engine.plugins.forEach((plugin) => stack.use(plugin))
  if (flags.mode === 'ebt') stack.use(require('ssb-ebt'))
  if (flags.streams) stack.use(require('./qbix-v1.cjs'))
  if (flags.blobs) stack.use(require('ssb-blobs'))
  return stack({
    path: flags.dir,
    keys,
    caps: { shs: caps },
    connections: {
      incoming: { net: [{ scope: 'device', transform: 'shs', host, port }] },
      outgoing: { net: [{ transform: 'shs' }] },
    },
    timers: { inactivity: 600_000, handshake: 5_000 },
    blobs: { max: BLOB_BYTES_MAX, pushy: 3, sympathy: 3 },
  })
}

class Peer {
  constructor(engine, flags) {
    fs.mkdirSync(flags.dir, { recursive: true })
    this.engine = engine
    this.flags = flags
    this.keys = flags.seed ? keysOfSeed(flags.seed) : ssbKeys.loadOrCreateSync(path.join(flags.dir, 'secret'))
    this.sbot = open(engine, flags, this.keys)
    this.links = new Map()
    this.expected = new Map(flags.expect.map((text) => {
      const at = text.lastIndexOf(':')
      return [feedOf(text.slice(0, at)), Number(text.slice(at + 1))]
    }))
    this.ending = false
    this.sbot.on('rpc:connect', (rpc, isClient) => this.greet(rpc, isClient))
  }

  greet(rpc, isClient) {
    this.links.set(rpc.id, rpc)
    say('linked', { id: rpc.id, outgoing: isClient })
    rpc.on('closed', () => {
      if (this.links.get(rpc.id) === rpc) this.links.delete(rpc.id)
      say('closed', { id: rpc.id })
    })
  }

  async start() {
    const { flags, sbot, engine } = this
    await engine.settled(sbot)
    if (flags.verbose) engine.onMessage(sbot, (key, value) => say('message', { key, author: value.author, sequence: value.sequence }))
    const before = process.cpuUsage()
    const created = await this.write(Number(flags.messages))
    const { user, system } = process.cpuUsage(before)
    if (flags.mode === 'ebt' && !flags.replicate.includes('none')) {
      for (const name of [this.keys.id, ...flags.replicate]) sbot.ebt.request(feedOf(name), true)
    }
    const blobs = []
    for (const file of flags['add-blob']) blobs.push(await this.addBlob(file))
    say('ready', {
      id: this.keys.id,
      address: sbot.getAddress('device'),
      sequence: await engine.head(sbot, this.keys.id),
      created,
      created_cpu_s: (user + system) / 1e6,
      blobs,
      ...spent(),
    })
    this.watch()
    flags.connect.forEach((address) => this.dial(addressOf(address), DIALS_MAX))
  }

  /** Make the own feed at least `length` long. */
  async write(length) {
    const { flags, sbot, engine, keys } = this
    const first = await engine.head(sbot, keys.id)
    for (let index = first; index < length; ) {
      const last = Math.min(index + BATCH, length)
      const contents = []
      for (; index < last; index++) contents.push(contentOf(flags.content, flags.seed, index, Number(flags.size)))
      await engine.createAll(sbot, contents, { sameTime: flags['same-time'] })
    }
    return Math.max(0, length - first)
  }

  watch() {
    const { flags, sbot, engine, expected } = this
    const look = async () => {
      for (const [id, sequence] of expected) {
        const head = await engine.head(sbot, id)
        if (head < sequence) continue
        expected.delete(id)
        say('reached', { id, sequence: head, ...spent() })
      }
      if (expected.size) return void setTimeout(look, LOOK_MS)
      if (flags.dump) await this.dump(flags.dump)
      if (flags.exit) this.end(0)
    }
    if (expected.size) look().catch((error) => this.fail('expect', error))
    if (flags.timeout) {
      setTimeout(() => {
        if (!expected.size) return
        say('timeout', { missing: Object.fromEntries(expected) })
        this.end(3)
      }, 1000 * flags.timeout).unref()
    }
  }

  dial(address, tries) {
    this.sbot.connect(address, (error) => {
      if (this.ending || !error) return
      if (tries > 1) setTimeout(() => this.dial(address, tries - 1), DIAL_AGAIN_MS)
      else sayError('connect ' + address, error)
    })
  }

  addBlob(file) {
    return new Promise((resolve, reject) => {
      const added = this.sbot.blobs.add((error, id) => (error ? reject(error) : resolve(id)))
      pull(pull.once(fs.readFileSync(file)), added)
    })
  }

  /** All messages as lines {key, value, encoded}; `encoded` is the text that was hashed. */
  async dump(file) {
    const out = fs.createWriteStream(file)
    let messages = 0
    await this.engine.settled(this.sbot)
    await new Promise((resolve, reject) => {
      pull(
        this.engine.messages(this.sbot),
        pull.drain(
          ({ key, value }) => {
            messages++
            out.write(JSON.stringify({ key, value, encoded: JSON.stringify(value, null, 2) }) + '\n')
          },
          (error) => (error ? reject(error) : resolve())
        )
      )
    })
    out.end()
    await once(out, 'close')
    say('dumped', { file, messages })
  }

  /** Append other people's messages, at once because ssb-db2 adds in batches; the errors by sequence. */
  async append(values) {
    const add = promisify(this.sbot.add)
    const results = await Promise.allSettled(values.map((value) => add(value)))
    const refused = results.flatMap(({ reason }, index) =>
      reason ? [{ sequence: values[index].sequence, message: reason.message }] : [])
    return { added: values.length - refused.length, refused }
  }

  fail(where, error) {
    sayError(where, error)
    this.end(1)
  }

  end(code) {
    if (this.ending) return
    this.ending = true
    say('end', { code, ...spent() })
    const leave = () => process.stdout.write('', () => process.exit(code))
    for (const rpc of this.links.values()) rpc.close(true, () => {}) // ssb-db waits for them for ever
    this.sbot.close(true, leave)
    setTimeout(leave, CLOSE_PATIENCE_MS).unref()
  }
}

/** Each answers with one event of the name in the past tense or of the thing asked for. */
const COMMANDS = {
  async publish(peer, { content, count = 1, encryption }) {
    const { engine, sbot, flags, keys } = peer
    const first = await engine.head(sbot, keys.id)
    const contents = Array.from({ length: count }, (_, index) => content || contentOf(flags.content, flags.seed, first + index, Number(flags.size)))
    const last = (await engine.createAll(sbot, contents, { encryption })).at(-1)
    say('published', { key: last.key, sequence: last.value.sequence })
  },
  async add(peer, { values }) {
    say('added', await peer.append(values))
  },
  async head(peer, { id }) {
    say('head', { id: feedOf(id), sequence: await peer.engine.head(peer.sbot, feedOf(id)) })
  },
  async clock(peer, { format = 'classic' }) {
    say('clock', { clock: await promisify(peer.sbot.ebt.clock)({ format }) })
  },
  async status(peer, { id }) {
    say('status', peer.sbot.ebt.peerStatus(feedOf(id)))
  },
  async replicate(peer, { id, on = true }) {
    peer.sbot.ebt.request(feedOf(id), on)
    say('replicating', { id: feedOf(id), on })
  },
  async block(peer, { id, on = true }) {
    peer.sbot.ebt.block(peer.keys.id, feedOf(id), on)
    say('blocking', { id: feedOf(id), on })
  },
  async connect(peer, { address }) {
    peer.dial(addressOf(address), DIALS_MAX)
    say('dialling', { address: addressOf(address) })
  },
  async disconnect(peer, { id }) {
    const rpc = peer.links.get(feedOf(id))
    if (rpc) await promisify(rpc.close.bind(rpc))(true).catch(() => {})
    say('disconnected', { id: feedOf(id), was: Boolean(rpc) })
  },
  async expect(peer, { id, sequence }) {
    const idle = peer.expected.size === 0
    peer.expected.set(feedOf(id), sequence)
    if (idle) peer.watch()
    say('expecting', { id: feedOf(id), sequence })
  },
  async history(peer, { id, of, options }) {
    const rpc = peer.links.get(feedOf(of))
    if (!rpc) throw new Error('no link to ' + of)
    const source = rpc.createHistoryStream({ id: feedOf(id), keys: false, ...options })
    const values = await new Promise((resolve, reject) =>
      pull(source, pull.collect((error, all) => (error ? reject(error) : resolve(all)))))
    const outcome = await peer.append(values)
    say('history', { id: feedOf(id), ...outcome, sequence: await peer.engine.head(peer.sbot, feedOf(id)) })
  },
  async read(peer, { key }) {
    say('read', { key, content: await peer.engine.decrypted(peer.sbot, key) })
  },
  async dump(peer, { file }) {
    await peer.dump(file)
  },
  async blob(peer, { id }) {
    const has = await promisify(peer.sbot.blobs.want)(id)
    say('blob', { id, size: has ? await promisify(peer.sbot.blobs.size)(id) : null })
  },
  async stats(peer) {
    await peer.engine.settled(peer.sbot)
    say('stats', spent())
  },
  async close(peer) {
    peer.end(0)
  },
}

async function obey(peer, line) {
  let command
  try {
    command = JSON.parse(line)
    if (!Object.hasOwn(COMMANDS, command.command)) throw new Error('no such command')
    await COMMANDS[command.command](peer, command)
  } catch (error) {
    sayError(command ? command.command : line, error)
  }
}

/** A peer whose driver is gone ends too; one without a pipe on stdin runs until it is told to end. */
const isDriven = () => fs.fstatSync(0).isFIFO() || fs.fstatSync(0).isSocket()

exports.run = function run(engine) {
  const peer = new Peer(engine, readFlags())
  const end = () => peer.end(0)
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  readline.createInterface({ input: process.stdin })
    .on('line', (line) => obey(peer, line))
    .on('close', () => isDriven() && end())
  peer.start().catch((error) => peer.fail('start', error))
}
