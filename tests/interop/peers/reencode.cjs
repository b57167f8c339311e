#!/usr/bin/env node
'use strict'
// Reads messages as JSON lines {key, value} and writes them as the peers' dumps have them: with the
// text that JavaScript makes of the value, whose hash must be the key.

const crypto = require('crypto')
const fs = require('fs')

const idOf = (encoded) => '%' + crypto.createHash('sha256').update(encoded, 'latin1').digest('base64') + '.sha256'

const lines = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => {
  const { key, value } = JSON.parse(line)
  const encoded = JSON.stringify(value, null, 2)
  if (idOf(encoded) !== key) throw new Error(`${key} is not the id of message ${value.sequence} of ${value.author}`)
  return JSON.stringify({ key, value, encoded }) + '\n'
})
fs.writeFileSync(1, lines.join(''))
