// Trees of streams (spec/streams.md 4): made by their definition, and proofs checked as the page says.

import { sha256 } from './primitives.mjs'

const ZERO = Buffer.of(0)
const ONE = Buffer.of(1)

export const leafHash = (leaf) => sha256(Buffer.concat([ZERO, leaf]))
export const nodeHash = (left, right) => sha256(Buffer.concat([ONE, left, right]))

function demand(holds, rule) {
  if (!holds) throw new Error(rule)
}

/** The largest power of two below a number above 1. */
function split(count) {
  let half = 1
  while (2 * half < count) half *= 2
  return half
}

/** The root of the tree over hashes of leaves. */
export function rootOf(hashes) {
  if (hashes.length === 0) return sha256(Buffer.alloc(0))
  if (hashes.length === 1) return hashes[0]
  const half = split(hashes.length)
  return nodeHash(rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)))
}

/** Where the full subtrees of a length begin and how many leaves they have, the largest first. */
export function spots(length) {
  const found = []
  let start = 0
  for (let count = 2 ** 30; count >= 1; count /= 2) {
    if (length - start >= count) {
      found.push({ start, count, level: Math.log2(count), index: start / count })
      start += count
    }
  }
  return found
}

export const peaksOf = (hashes) => spots(hashes.length).map(({ start, count }) => rootOf(hashes.slice(start, start + count)))

export function bag(peaks) {
  demand(peaks.length, 'no peaks')
  return peaks.reduceRight((root, peak) => nodeHash(peak, root))
}

/** Right siblings on the way from leaf `first` - 1 up to the root, from below. */
export function frontierOf(hashes, first) {
  if (hashes.length === 1) return []
  const half = split(hashes.length)
  const [left, right] = [hashes.slice(0, half), hashes.slice(half)]
  return first - 1 < half ? [...frontierOf(left, first), rootOf(right)] : frontierOf(right, first - half)
}

/** Siblings of the subtree of `count` leaves from `start` on, from below. */
export function pathOf(hashes, start, count) {
  if (hashes.length === count && start === 0) return []
  const half = split(hashes.length)
  const [left, right] = [hashes.slice(0, half), hashes.slice(half)]
  return start < half ? [...pathOf(left, start, count), rootOf(right)] : [...pathOf(right, start - half, count), rootOf(left)]
}

const halved = (number) => Math.floor(number / 2)
const isOdd = (number) => number % 2 === 1

/** The root of n leaves to which peaks of m and a frontier lead. */
export function lead(peaks, m, frontier, n) {
  demand(m >= 1 && m <= n, 'from 1 to n')
  let [f, s, rest] = [m - 1, n - 1, m]
  for (; !isOdd(rest); rest = halved(rest)) [f, s] = [halved(f), halved(s)]
  const [left, right] = [[...peaks], [...frontier]]
  demand(left.length, 'no peaks')
  let r = left.pop()
  for (; s > 0; [f, s] = [halved(f), halved(s)]) {
    if (isOdd(f)) {
      demand(left.length, 'a peak is missing')
      r = nodeHash(left.pop(), r)
    } else if (f < s) {
      demand(right.length, 'the frontier is too short')
      r = nodeHash(r, right.shift())
    }
  }
  demand(!left.length && !right.length, 'not all is used up')
  return r
}

/** The root of n leaves to which the path of a node leads. */
export function climb(node, level, index, path, n) {
  demand((index + 1) * 2 ** level <= n, 'the node is no full subtree')
  let [f, s, r] = [index, Math.floor((n - 1) / 2 ** level), node]
  for (const p of path) {
    demand(s > 0, 'the path is too long')
    if (isOdd(f) || f === s) {
      r = nodeHash(p, r)
      while (!isOdd(f) && f !== 0) [f, s] = [halved(f), halved(s)]
    } else r = nodeHash(r, p)
    ;[f, s] = [halved(f), halved(s)]
  }
  demand(s === 0, 'the path is too short')
  return r
}
