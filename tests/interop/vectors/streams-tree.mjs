// Roots, peaks, frontiers and paths of streams (spec/streams.md 4).

import { bag, climb, frontierOf, lead, leafHash, pathOf, peaksOf, rootOf, spots } from './merkle.mjs'
import { hex, sha256 } from './primitives.mjs'

const HUGE = 1000

const log = (length) => Array.from({ length }, (_, leaf) => leafHash(Buffer.from(String(leaf))))
const madeUp = (level, index) => sha256(Buffer.from(`${level} ${index}`))
const text = (rows) => rows.map((row) => row.toString('hex')).join()

function demand(holds, rule) {
  if (!holds) throw new Error(rule)
}

function follows({ from, to, peaks, frontier, root }) {
  demand(lead(peaks.map(hex), from, frontier.map(hex), to).equals(hex(root)), 'another root')
}

function contains({ level, index, length, node, path, root }) {
  demand(climb(hex(node), level, index, path.map(hex), length).equals(hex(root)), 'another root')
}

/** All that a valid proof says is what the log gives. */
function checkFrontier(vector, checks) {
  const { from, to, peaks, frontier, root } = vector
  const what = `from ${from} to ${to}`
  checks.equal(follows(vector), undefined, what)
  if (to > HUGE) {
    const found = spots(from).map(({ level, index }) => madeUp(level, index))
    checks.equal(peaks.join(), text(found), `${what}: peaks`)
    checks.equal(root, text([bag(spots(to).map(({ level, index }) => madeUp(level, index)))]), `${what}: root`)
    return
  }
  checks.equal(peaks.join(), text(peaksOf(log(from))), `${what}: peaks`)
  checks.equal(frontier.join(), text(frontierOf(log(to), from)), `${what}: frontier`)
  checks.equal(root, text([rootOf(log(to))]), `${what}: root`)
}

function checkPath(vector, checks) {
  const { level, index, length, node, path, root } = vector
  const what = `node ${level} ${index} of ${length}`
  checks.equal(contains(vector), undefined, what)
  if (length > HUGE) {
    checks.equal(node, text([madeUp(level, index)]), `${what}: node`)
    return
  }
  const [start, count] = [index * 2 ** level, 2 ** level]
  checks.equal(node, text([rootOf(log(length).slice(start, start + count))]), `${what}: node`)
  checks.equal(path.join(), text(pathOf(log(length), start, count)), `${what}: path`)
  checks.equal(root, text([rootOf(log(length))]), `${what}: root`)
}

export function verify({ roots, frontiers, paths }, checks) {
  for (const { length, root, peaks } of roots) {
    checks.equal(root, text([rootOf(log(length))]), `${length}: root`)
    checks.equal(peaks.join(), text(peaksOf(log(length))), `${length}: peaks`)
    if (length) checks.equal(text([bag(peaks.map(hex))]), root, `${length}: bag`)
  }
  for (const vector of frontiers.valid) checkFrontier(vector, checks)
  for (const vector of frontiers.invalid) checks.refused(() => follows(vector), `frontier: ${vector.rule}`)
  for (const vector of paths.valid) checkPath(vector, checks)
  for (const vector of paths.invalid) checks.refused(() => contains(vector), `path: ${vector.rule}`)
}
