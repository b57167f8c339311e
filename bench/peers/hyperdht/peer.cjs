// HyperDHT nodes of one process on loopback: what a ping and a FIND_NODE cost both ends. Prints a JSON line.
//
//   node peer.cjs NODES TRIPS IN_FLIGHT
'use strict'

const { randomBytes } = require('crypto')
const createTestnet = require('hyperdht/testnet')
const { PING, FIND_NODE } = require('dht-rpc/lib/commands')

function cpu () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function ask (client, to, command) {
  const target = command === FIND_NODE ? randomBytes(32) : null
  return new Promise((resolve, reject) => {
    client._request(to, false, true, command, target, null, null, resolve, reject)
  })
}

async function measure (client, to, command, trips, inFlight) {
  let left = trips
  let contacts = 0
  async function askAll () {
    while (left-- > 0) {
      const { closerNodes } = await ask(client, to, command)
      contacts += closerNodes ? closerNodes.length : 0
    }
  }
  const before = cpu()
  await Promise.all(Array.from({ length: inFlight }, askAll))
  return { cpu_s: (cpu() - before) / trips, contacts: contacts / trips }
}

async function main (nodes, trips, inFlight) {
  const { nodes: swarm } = await createTestnet(nodes)
  const [server, client] = [swarm[0], swarm[1]]
  const to = { id: server.id, host: '127.0.0.1', port: server.address().port }
  for (const command of [PING, FIND_NODE]) await measure(client, to, command, trips, inFlight) // JavaScript warms up
  const ping = await measure(client, to, PING, trips, inFlight)
  const find = await measure(client, to, FIND_NODE, trips, inFlight)
  process.stdout.write(JSON.stringify({ ping, find }) + '\n')
  process.exit(0)
}

main(...process.argv.slice(2).map(Number))
