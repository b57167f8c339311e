#!/usr/bin/env node
'use strict'
// A peer on the older engine: ssb-db on flumedb, and ssb-ebt.

const { promisify } = require('util')

require('./peer.cjs').run({
  plugins: [require('ssb-db'), require('ssb-private1')],
  settled: (sbot) => promisify(sbot.getVectorClock)(),
  head: async (sbot, id) => (await promisify(sbot.getVectorClock)())[id] || 0,
  createAll(sbot, contents) {
    const feed = sbot.createFeed(sbot.keys) // `publish` stumbles over contents with a member toString
    return Promise.all(contents.map((content) => promisify(feed.add)(content)))
  },
  messages: (sbot) => sbot.createLogStream({ private: false }),
  onMessage: (sbot, listen) => sbot.post(({ key, value }) => listen(key, value), false),
  decrypted: async (sbot, key) => (await promisify(sbot.get)({ id: key, private: true })).content,
})
