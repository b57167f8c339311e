// Private messages as the libraries under ssb-box and ssb-box2 make and open them. One JSON task a
// line on stdin, one JSON answer a line on stdout. NODE_PATH names the folder of the packages.
const crypto = require('node:crypto')
const fs = require('node:fs')
const { box, unbox } = require('envelope-js')
const ssbKeys = require('ssb-keys')
const { directMessageKey } = require('ssb-private-group-keys')
const schemes = require('private-group-spec').keySchemes

const keysOf = (seed) => ssbKeys.generate('ed25519', Buffer.from(seed, 'hex'))
const bytesOf = (text) => Buffer.from(text.split('.')[0].replace(/^[@%]/, ''), 'base64')
const feedOf = (id) => Buffer.concat([Buffer.from([0, 0]), bytesOf(id)])
const previousOf = (id) => Buffer.concat([Buffer.from([1, 0]), id ? bytesOf(id) : Buffer.alloc(32)])

function keyOf({ seed, other, group }) {
  if (!group) return directMessageKey.easy(keysOf(seed))(other)
  return { key: Buffer.from(group, 'base64'), scheme: Buffer.from(schemes.private_group) }
}

const tasks = {
  box1: ({ content, readers }) => ssbKeys.box(content, readers),
  unbox1: ({ content, seed }) => ssbKeys.unbox(content, keysOf(seed)) ?? null,
  direct: (task) => keyOf(task).key.toString('base64'),
  box2: ({ content, author, previous, slots }) => {
    const plain = Buffer.from(JSON.stringify(content))
    const context = [feedOf(author), previousOf(previous)]
    return box(plain, ...context, crypto.randomBytes(32), slots.map(keyOf)).toString('base64') + '.box2'
  },
  unbox2: ({ content, author, previous, slot }) => {
    const context = [feedOf(author), previousOf(previous)]
    const plain = unbox(bytesOf(content), ...context, [keyOf(slot)], { maxAttempts: 16 })
    return plain && JSON.parse(plain)
  },
}

for (const line of fs.readFileSync(0, 'utf8').trim().split('\n')) {
  const { task, ...details } = JSON.parse(line)
  console.log(JSON.stringify(tasks[task](details)))
}
