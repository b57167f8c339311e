// One hypercore over TCP on loopback, stored. Prints JSON lines.
//
//   node peer.cjs author FOLDER BLOCKS BYTES    writes blocks, says {port, key}, serves until its input ends
//   node peer.cjs reader FOLDER BLOCKS PORT KEY  gets them all, says {cpu_s, wall_s}
'use strict'

const { randomBytes } = require('crypto')
const net = require('net')
const Hypercore = require('hypercore')

const BATCH = 256

function say (what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

function cpu () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function join (core, socket, initiator) {
  const stream = core.replicate(initiator)
  for (const each of [stream, socket]) each.on('error', () => {}) // the other side has ended
  socket.pipe(stream).pipe(socket)
}

async function author (folder, blocks, bytes) {
  const core = new Hypercore(folder)
  await core.ready()
  for (let first = 0; first < blocks; first += BATCH) {
    const count = Math.min(BATCH, blocks - first)
    await core.append(Array.from({ length: count }, () => randomBytes(bytes)))
  }
  const server = net.createServer((socket) => join(core, socket, false))
  server.listen(0, '127.0.0.1', () => {
    const before = cpu()
    say({ port: server.address().port, key: core.key.toString('hex') })
    process.stdin.on('end', () => {
      say({ cpu_s: cpu() - before })
      process.exit(0)
    }).resume()
  })
}

async function reader (folder, blocks, port, key) {
  const core = new Hypercore(folder, Buffer.from(key, 'hex'))
  await core.ready()
  const before = cpu()
  const start = process.hrtime.bigint()
  join(core, net.connect(port, '127.0.0.1'), true)
  await core.download({ start: 0, end: blocks }).done()
  if (!(await core.has(0, blocks)) || core.length !== blocks) throw new Error('blocks are missing')
  say({ cpu_s: cpu() - before, wall_s: Number(process.hrtime.bigint() - start) / 1e9 })
  process.exit(0)
}

const [role, folder, blocks, ...rest] = process.argv.slice(2)
if (role === 'author') author(folder, Number(blocks), Number(rest[0]))
else reader(folder, Number(blocks), Number(rest[0]), rest[1])
