#!/usr/bin/env node
'use strict'
// A peer on today's engine: ssb-db2, and ssb-ebt.

const { promisify } = require('util')
const pull = require('pull-stream')
const { toPullStream } = require('ssb-db2/operators')
const { reEncrypt } = require('ssb-db2/indexes/private')

// ssb-db2 answers createHistoryStream in order of the claimed time, and shuffles equal times; a
// receiver that appends as it reads needs distinct ones. Every fifth has a fraction, as the times
// of ssb-db have.
const SAME_TIME = 1700000000000
let latest = 0
function nextTime() {
  latest = Math.max(Date.now(), Math.floor(latest) + 1)
  return latest % 5 ? latest : latest + 0.001
}

require('./peer.cjs').run({
  plugins: [
    require('ssb-db2'),
    require('ssb-db2/compat/db'),
    require('ssb-db2/compat/ebt'),
    require('ssb-db2/compat/history-stream'),
  ],
  settled: (sbot) => new Promise((resolve) => sbot.db.onDrain('base', resolve)),
  async head(sbot, id) {
    const latestMessage = sbot.db.getState().getAsKV(id)
    return latestMessage ? latestMessage.value.sequence : 0
  },
  createAll: (sbot, contents, { sameTime, encryption }) =>
    Promise.all(contents.map((content) => {
      const timestamp = sameTime ? SAME_TIME : nextTime()
      return promisify(sbot.db.create)({ content, timestamp, encryptionFormat: encryption })
    })),
  messages: (sbot) => pull(sbot.db.query(toPullStream()), pull.map(reEncrypt)),
  onMessage: (sbot, listen) => sbot.db.onMsgAdded(({ kvt }) => listen(kvt.key, kvt.value)),
  decrypted: async (sbot, key) => (await promisify(sbot.db.get)(key)).content,
})
