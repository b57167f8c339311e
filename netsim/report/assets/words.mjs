// What happened, as sentences; and the kinds by which the list of events is filtered.

import { faultWords } from "./faults.mjs";
import { bytes, count, duration, plural, ranges } from "./text.mjs";

// Kinds that belong together, with the mark of each in the lanes. `often`: not listed at first.
export const TOPICS = {
  trouble: { name: "violations", mark: "violation", kinds: ["VIOLATED", "FAILED"] },
  faults: { name: "faults", mark: "fault", kinds: ["FAULT_BEGAN", "FAULT_ENDED", "HEALED"] },
  life: { name: "starts and crashes", mark: "crash", kinds: ["STARTED", "STOPPED", "CRASHED"] },
  disks: { name: "disks", mark: "disk", kinds: ["ROLLED_BACK", "DISK_FULL"] },
  forks: { name: "forks", mark: "fork", kinds: ["FORK_FOUND"] },
  misdeeds: { name: "misdeeds", mark: "misdeed", kinds: ["MISDEED"] },
  refusals: { name: "refusals", mark: "refused", kinds: ["REFUSED"] },
  publishes: { name: "publishes", mark: "publish", kinds: ["PUBLISHED"] },
  asked: { name: "requests of people", mark: "asked", kinds: ["ASKED"], often: true },
  blobs: { name: "blobs", mark: "blob", kinds: ["BLOB_ARRIVED", "BLOB_FAILED"] },
  links: { name: "connections", mark: "link", kinds: ["LINK_UP", "LINK_DOWN"], often: true },
  appends: { name: "appends", mark: "append", kinds: ["APPENDED"], often: true },
  other: { name: "other", mark: "other", kinds: ["FOUND"], often: true },
};

const BLOB_FAILURES = { 1: "it was not there", 2: "the bytes were wrong", 3: "the disk was full" };

const ASKED = {
  publish: "publish a message",
  follow: "follow",
  unfollow: "unfollow",
  block: "block",
  unblock: "unblock",
  add_peer: "add the address of",
  remove_peer: "forget the address of",
  add_blob: "add a blob",
  want_blob: "fetch a blob",
  unwant_blob: "stop fetching a blob",
  remove_blob: "remove a blob",
  act: "do its deed",
};

export class Words {
  #sentences;
  #topics = new Map();
  #marks;

  constructor(history, { result: { violations }, foundNames }) {
    this.history = history;
    this.foundNames = foundNames;
    this.violations = violations;
    const { kinds } = history;
    for (const [topic, { kinds: names }] of Object.entries(TOPICS)) {
      for (const name of names) this.#topics.set(kinds[name], topic);
    }
    this.#marks = new Map([
      [kinds.STARTED, "start"],
      [kinds.STOPPED, "stop"],
    ]);
    this.#sentences = new Map(Object.entries(sentences).map(([name, say]) => [kinds[name], say]));
  }

  topicOf(i) {
    return this.#topics.get(this.history.records.kind[i]) ?? "other";
  }

  markOf(i) {
    return this.#marks.get(this.history.records.kind[i]) ?? TOPICS[this.topicOf(i)].mark;
  }

  sentence(i) {
    const { records } = this.history;
    const say =
      this.#sentences.get(records.kind[i]) ?? (() => "something this report has no words for");
    const event = {
      at: records.at[i],
      node: records.node[i],
      peer: records.peer[i],
      subject: records.subject[i],
      value: records.value[i],
    };
    return say(event, this);
  }

  name(number) {
    const place = this.history.placeOf(number);
    if (place < 0) return "a stranger";
    const node = this.history.nodes[place];
    return node.honest ? node.name : `${node.name} (${node.role})`;
  }

  faultOf(place) {
    return this.history.plan.faults[place];
  }

  violationAt({ at, node }) {
    return this.violations.find((each) => each.node === node && Math.abs(each.at - at) < 1e-6);
  }
}

const hex = (number) => number.toString(16).padStart(8, "0");
const lost = (batches) =>
  batches ? `, ${plural(batches, "batch", "batches")} of writes lost` : "";

const sentences = {
  LINK_UP: (e, w) =>
    `${w.name(e.node)} ${e.subject === 1 ? "called" : "was called by"} ${w.name(e.peer)}: connected`,
  LINK_DOWN: (e, w) => `${w.name(e.node)} lost its connection with ${w.name(e.peer)}`,
  STARTED: (e, w) =>
    `${w.name(e.node)} started${e.value ? "" : ", not having been stopped cleanly"}`,
  STOPPED: (e, w) => `${w.name(e.node)} stopped cleanly`,
  CRASHED: (e, w) => `${w.name(e.node)} crashed${lost(e.value)}`,
  ROLLED_BACK: (e, w) => `${w.name(e.node)} has the disk of an earlier time${lost(e.value)}`,
  DISK_FULL: (e, w) => `${w.name(e.node)} found its disk full`,
  ASKED: (e, w) => `${w.name(e.node)} is asked to ${askedWords(e, w)}`,
  PUBLISHED: (e, w) => `${w.name(e.node)} published message ${count(e.value)}`,
  APPENDED: (e, w) => appendedWords(e, w),
  REFUSED: (e, w) => `${w.name(e.node)} refused ${messageWords(e, w)} from ${w.name(e.peer)}`,
  FORK_FOUND: (e, w) =>
    `${w.name(e.node)} found that ${w.name(e.subject)} forked its feed at message ${count(e.value)}`,
  BLOB_ARRIVED: (e, w) => `${w.name(e.node)} has blob ${hex(e.subject)}… (${bytes(e.value)})`,
  BLOB_FAILED: (e, w) => blobWords(e, w),
  FAULT_BEGAN: (e, w) => faultSentence(e, w, true),
  FAULT_ENDED: (e, w) => faultSentence(e, w, false),
  HEALED: () => "All faults are over: from now on everything has to come right",
  MISDEED: (e, w) => misdeedWords(e, w),
  FAILED: (e, w) => `${w.name(e.node)} failed: an error that no one expected`,
  VIOLATED: (e, w) => violationWords(e, w),
  FOUND: (e, w) => `${w.name(e.node)} told of ${w.foundNames[e.subject] ?? hex(e.subject)}`,
};

function askedWords({ subject }, { history }) {
  const what = history.dos[subject];
  return ASKED[what] ?? what ?? "do something";
}

function misdeedWords({ node, subject, value }, words) {
  const feed = subject === words.history.nobody ? "" : `, about the feed of ${words.name(subject)}`;
  return `${words.name(node)} misbehaved${feed}${value ? `, message ${count(value)}` : ""}`;
}

function blobWords({ node, peer, subject, value }, words) {
  const why = BLOB_FAILURES[value] ?? "unknown why";
  return `${words.name(node)} did not get blob ${hex(subject)}… from ${words.name(peer)}: ${why}`;
}

function appendedWords(event, words) {
  const source = event.peer === words.history.nobody ? "" : ` from ${words.name(event.peer)}`;
  const which = `the feed of ${words.name(event.subject)} up to message ${count(event.value)}`;
  return `${words.name(event.node)} has ${which}${source}`;
}

function messageWords({ subject, value }, words) {
  const which = value ? `message ${count(value)}` : "something";
  return subject === words.history.nobody ? which : `${which} of ${words.name(subject)}`;
}

function faultSentence({ node, subject }, words, begins) {
  const fault = words.faultOf(subject);
  if (!fault) return "An unknown fault";
  const all = words.history.faults.find((each) => each.place === subject);
  const places = all?.nodes.map((place) => words.history.nodes[place].number) ?? [node];
  const who = all?.everywhere
    ? "all nodes"
    : `${places.length === 1 ? "node" : "nodes"} ${ranges(places)}`;
  const long = begins && all ? ` for ${duration(all.to - all.from)}` : "";
  return `${begins ? "Begins" : "Ends"}: ${faultWords(fault)}, ${who}${long}`;
}

function violationWords(event, words) {
  const found = words.violationAt(event);
  return found
    ? `${words.name(event.node)} breaks “${found.check}”: ${found.what}`
    : `${words.name(event.node)} breaks a rule`;
}
