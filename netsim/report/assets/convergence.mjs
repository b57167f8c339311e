// How far the nodes are: who has all of the feeds that it follows, and who knows of which fork.

import { stepAt } from "./text.mjs";

// Pairs (node, feed it follows) between honest nodes. A feed that forked is left out from then on:
// nobody has to have all of it any more.
export class Convergence {
  constructor(history) {
    this.history = history;
    this.curve = []; // [time, share of pairs that are complete]
    this.appended = []; // [time, messages]
    this.published = 0;
    this.shares = history.nodes.map(() => []); // of each node: [time, share of its pairs]
    this.forks = findForks(history);
    this.#have = new Map(); // node and feed: [[time, length]]
    this.#length = firstLengths(history);
    this.#following = history.nodes.map(() => new Set());
    this.#followers = history.nodes.map(() => new Set());
    this.#complete = history.nodes.map(() => new Set());
    this.#compute();
  }

  #have;
  #length;
  #following;
  #followers;
  #complete;
  #pairs = 0;
  #done = 0;

  // Of a node, or of all; null where it follows nobody.
  shareAt(time, node = null) {
    return stepAt(node === null ? this.curve : this.shares[node], time, null);
  }

  // What honest nodes lack at the end, by feed: {feed, places, reach}. `reach`: whether a chain of
  // honest nodes that follow the feed and are connected leads from its author to one of them.
  lacking() {
    const found = [];
    this.#followers.forEach((followers, feed) => {
      const places = [...followers].filter((place) => !this.#complete[place].has(feed));
      if (!places.length) return;
      const reached = this.#reachedFrom(feed);
      for (const reach of [true, false]) {
        const some = places.filter((place) => reached.has(place) === reach);
        if (some.length) found.push({ feed, places: some, reach });
      }
    });
    return found;
  }

  #reachedFrom(feed) {
    const { links, end } = this.history;
    const near = new Map();
    for (const { from, to, down } of links) {
      if (down < end) continue;
      if (!near.has(from)) near.set(from, []);
      near.get(from).push(to);
    }
    const reached = new Set([feed]);
    for (const place of reached) {
      for (const next of near.get(place) ?? []) {
        if (this.#followers[feed].has(next)) reached.add(next);
      }
    }
    return reached;
  }

  #compute() {
    const { nodes } = this.history;
    for (const [place, node] of nodes.entries()) {
      for (const number of node.follows) this.#follow(place, this.history.placeOf(number));
    }
    nodes.forEach((_, place) => this.#note(0, place));
    const operations = operationsByNode(this.history);
    const forked = [...this.forks].sort((a, b) => a.made - b.made);
    for (const i of this.history.events) {
      const at = this.history.records.at[i];
      while (forked.length && forked[0].made <= at) this.#leaveOut(at, forked.shift().author);
      this.#take(i, at, operations);
    }
    this.curve.push([this.history.end, this.#share()]);
  }

  #take(i, at, operations) {
    const { records, kinds } = this.history;
    const place = this.history.placeOf(records.node[i]);
    const feed = this.history.placeOf(records.subject[i]);
    switch (records.kind[i]) {
      case kinds.PUBLISHED:
        this.published += 1;
        if (feed >= 0) this.#grow(at, place, feed, records.value[i]);
        break;
      case kinds.APPENDED:
        if (feed >= 0) this.#grow(at, place, feed, records.value[i]);
        break;
      case kinds.ROLLED_BACK:
        this.#rollBack(at, place);
        break;
      case kinds.ASKED:
        this.#ask(at, place, records.subject[i], operations);
        break;
      default:
    }
  }

  #follow(place, feed) {
    const { nodes } = this.history;
    if (feed < 0 || feed === place || !nodes[place].honest || !nodes[feed].honest) return;
    if (this.#following[place].has(feed)) return;
    this.#following[place].add(feed);
    this.#followers[feed].add(place);
    this.#pairs += 1;
    this.#judge(place, feed);
  }

  #unfollow(place, feed) {
    if (!this.#following[place].delete(feed)) return;
    this.#followers[feed].delete(place);
    this.#pairs -= 1;
    if (this.#complete[place].delete(feed)) this.#done -= 1;
  }

  #leaveOut(at, feed) {
    for (const place of [...this.#followers[feed]]) {
      this.#unfollow(place, feed);
      this.#note(at, place);
    }
  }

  #ask(at, place, number, operations) {
    const operation = operations.next(place, number, at);
    if (!operation || !this.history.nodes[place].up.some(([from, to]) => from <= at && at <= to))
      return;
    const target = this.history.placeOf(operation.target ?? -1);
    if (operation.do === "follow") this.#follow(place, target);
    else if (operation.do === "unfollow" || operation.do === "block") this.#unfollow(place, target);
    else return;
    this.#note(at, place);
  }

  #grow(at, place, feed, length) {
    const before = this.#lengthAt(place, feed, at);
    if (length > before && place !== feed) this.appended.push([at, length - before]);
    this.#set(at, place, feed, length);
    if (length > this.#length[feed]) {
      this.#length[feed] = length;
      for (const follower of this.#followers[feed]) {
        this.#judge(follower, feed);
        this.#note(at, follower);
      }
    } else if (this.#following[place].has(feed)) {
      this.#judge(place, feed);
      this.#note(at, place);
    }
  }

  // The fault says how old the database is on which the node starts again.
  #rollBack(at, place) {
    const fault = this.history.nodes[place].faults.findLast(
      (each) => each.amount > 0 && each.group === "disk" && each.from <= at && at <= each.to + 1,
    );
    if (!fault) return;
    for (const feed of this.#following[place]) {
      this.#set(at, place, feed, this.#lengthAt(place, feed, fault.from - fault.amount));
      this.#judge(place, feed);
    }
    this.#note(at, place);
  }

  #set(at, place, feed, length) {
    const key = place * this.history.nodes.length + feed;
    if (!this.#have.has(key)) this.#have.set(key, []);
    this.#have.get(key).push([at, length]);
  }

  #lengthAt(place, feed, at) {
    return stepAt(this.#have.get(place * this.history.nodes.length + feed) ?? [], at, 0);
  }

  #judge(place, feed) {
    if (!this.#following[place].has(feed)) return;
    const had = this.#complete[place].has(feed);
    const has = this.#lengthAt(place, feed, Infinity) >= this.#length[feed];
    if (has && !had) this.#complete[place].add(feed);
    if (had && !has) this.#complete[place].delete(feed);
    this.#done += Number(has) - Number(had);
  }

  #note(at, place) {
    const follows = this.#following[place].size;
    addStep(this.shares[place], at, follows ? this.#complete[place].size / follows : null);
    addStep(this.curve, at, this.#share());
  }

  #share() {
    return this.#pairs ? this.#done / this.#pairs : null;
  }
}

function addStep(steps, at, value) {
  const last = steps.at(-1);
  if (last && last[0] === at) last[1] = value;
  else if (!last || last[1] !== value) steps.push([at, value]);
}

// What each feed held before the run, as far as the run shows.
function firstLengths({ records, kinds, events, nodes, placeOf, places }) {
  const lengths = nodes.map(() => 0);
  const published = new Set();
  for (const i of events) {
    const feed = places.get(records.subject[i]) ?? -1;
    if (feed < 0 || published.has(feed)) continue;
    if (records.kind[i] === kinds.PUBLISHED) {
      published.add(feed);
      lengths[feed] = Math.max(records.value[i] - 1, 0);
    } else if (records.kind[i] === kinds.APPENDED && records.node[i] !== records.subject[i]) {
      lengths[feed] = Math.max(lengths[feed], records.value[i]);
    }
  }
  return lengths;
}

// The operation behind an ASKED record: the record itself has no target.
function operationsByNode(history) {
  const waiting = new Map();
  const keyOf = (place, what) => `${place} ${what}`;
  for (const operation of [...history.plan.operations].sort((a, b) => a.at - b.at)) {
    const key = keyOf(history.placeOf(operation.node), operation.do);
    if (!waiting.has(key)) waiting.set(key, []);
    waiting.get(key).push(operation);
  }
  return {
    next(place, number, at) {
      const queue = waiting.get(keyOf(place, history.dos[number]));
      while (queue?.length && queue[0].at < at - 1e-6) queue.shift();
      return queue?.shift() ?? null;
    },
  };
}

// Each {author, made, seen, sequence, known: [[time, node]]}. `seen`: a misdeed says when it was
// made; else its first discovery stands for it.
function findForks({ records, kinds, events, places, nodes }) {
  const forks = new Map();
  const misdeeds = new Map();
  for (const i of events) {
    const author = places.get(records.subject[i]) ?? -1;
    if (author < 0) continue;
    if (records.kind[i] === kinds.MISDEED) {
      const key = `${author} ${records.value[i]}`;
      if (!misdeeds.has(key)) misdeeds.set(key, records.at[i]);
    } else if (records.kind[i] === kinds.FORK_FOUND) {
      addDiscovery(forks, misdeeds, author, records, i, places.get(records.node[i]), nodes);
    }
  }
  return [...forks.values()];
}

function addDiscovery(forks, misdeeds, author, records, i, place, nodes) {
  if (!nodes[place].honest) return;
  const at = records.at[i];
  if (!forks.has(author)) {
    const made = misdeeds.get(`${author} ${records.value[i]}`);
    forks.set(author, {
      author,
      made: made ?? at,
      seen: made !== undefined,
      sequence: records.value[i],
      known: [],
    });
  }
  const { known } = forks.get(author);
  if (!known.some(([, who]) => who === place)) known.push([at, place]);
}
