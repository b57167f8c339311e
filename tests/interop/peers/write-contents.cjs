#!/usr/bin/env node
'use strict'
// write-contents.cjs KIND SEED COUNT: the contents that a peer of that seed would write, as JSON lines.
// Only objects: what is sealed is for the author to seal.

const { contentOf } = require('./contents.cjs')

const [kind, seed, count] = process.argv.slice(2)
const lines = []
for (let index = 0; lines.length < Number(count); index++) {
  const content = contentOf(kind, seed, index, 200)
  if (typeof content === 'object') lines.push(JSON.stringify(content) + '\n')
}
process.stdout.write(lines.join(''))
