// Turns records into what can be drawn: when each node was up, its links, faults, and marks.

import { groupOf } from "./faults.mjs";
import { matchPackets } from "./packets.mjs";
import { largest } from "./text.mjs";

const PACKETS = ["SENT", "DELIVERED", "DROPPED"];

export class History {
  constructor(records, data) {
    this.records = records;
    this.kinds = data.kinds;
    this.dos = data.dos;
    this.nobody = data.nobody;
    this.plan = data.plan;
    this.nodes = makeNodes(records, data);
    this.places = new Map(this.nodes.map((node, place) => [node.number, place]));
    this.end = endOf(records, data);
    this.healedAt = null;
    this.faults = []; // each {place, fault, amount, group, nodes, from, to}
    this.links = []; // each {from, to, up, down}: as one side sees it
    this.events = []; // places of records that are no packets
    this.#read();
    this.packets = matchPackets(records, data.kinds, (number) => this.placeOf(number));
  }

  placeOf(number) {
    return this.places.get(number) ?? -1;
  }

  #read() {
    const open = { faults: new Map(), links: new Map() };
    const packets = new Set(PACKETS.map((name) => this.kinds[name]));
    for (let i = 0; i < this.records.length; i += 1) {
      if (packets.has(this.records.kind[i])) continue;
      const place = this.placeOf(this.records.node[i]);
      if (place < 0) continue;
      this.events.push(i);
      this.nodes[place].marks.push(i);
      this.#take(i, place, open);
    }
    for (const fault of open.faults.values()) this.#endFault(fault, this.end);
    for (const link of open.links.values()) this.#endLink(link, this.end);
    for (const node of this.nodes) finishNode(node, this.end);
    this.links.sort((a, b) => a.up - b.up);
    this.faults.sort((a, b) => a.from - b.from);
  }

  #take(i, place, open) {
    const { kinds, records } = this;
    const [at, node] = [records.at[i], this.nodes[place]];
    switch (records.kind[i]) {
      case kinds.STARTED:
        node.upSince ??= at;
        break;
      case kinds.STOPPED:
      case kinds.CRASHED:
        goDown(node, at);
        for (const [key, link] of open.links) {
          if (link.from === place) this.#closeLink(open.links, key, at);
        }
        break;
      case kinds.LINK_UP:
        this.#openLink(open.links, place, this.placeOf(records.peer[i]), at);
        break;
      case kinds.LINK_DOWN:
        this.#closeLink(open.links, `${place} ${this.placeOf(records.peer[i])}`, at);
        break;
      case kinds.FAULT_BEGAN:
        this.#beginFault(open.faults, records.subject[i], place, at);
        break;
      case kinds.FAULT_ENDED:
        this.#closeFault(open.faults, records.subject[i], at);
        break;
      case kinds.HEALED:
        this.healedAt ??= at;
        break;
      default:
    }
  }

  #openLink(links, from, to, at) {
    const key = `${from} ${to}`;
    if (to < 0 || links.has(key)) return;
    links.set(key, { from, to, up: at, down: Infinity });
    countLinks(this.nodes[from], at, 1);
  }

  #closeLink(links, key, at) {
    const link = links.get(key);
    if (!link) return;
    links.delete(key);
    countLinks(this.nodes[link.from], at, -1);
    this.#endLink(link, at);
  }

  #endLink(link, at) {
    link.down = at;
    this.links.push(link);
  }

  #beginFault(faults, number, place, at) {
    const planned = this.plan.faults[number];
    if (!planned) return;
    if (!faults.has(number)) {
      const { fault, amount } = planned;
      faults.set(number, {
        place: number,
        fault,
        amount,
        group: groupOf(fault),
        nodes: [],
        from: at,
        to: Infinity,
      });
    }
    faults.get(number).nodes.push(place);
  }

  // It ends for all nodes at once.
  #closeFault(faults, number, at) {
    const fault = faults.get(number);
    if (!fault) return;
    faults.delete(number);
    this.#endFault(fault, at);
  }

  #endFault(fault, at) {
    fault.to = at;
    fault.everywhere = fault.nodes.length === this.nodes.length;
    this.faults.push(fault);
    for (const place of fault.nodes) this.nodes[place].faults.push(fault);
  }
}

function makeNodes(records, data) {
  const planned = new Map(data.plan.nodes.map((node) => [node.number, node]));
  for (let i = 0; i < records.length; i += 1) {
    const number = records.node[i];
    if (number !== data.nobody && !planned.has(number))
      planned.set(number, { number, role: "honest", follows: [] });
  }
  return [...planned.values()]
    .sort((a, b) => a.number - b.number)
    .map(({ number, role, follows }) => ({
      number,
      role,
      follows,
      honest: role === "honest",
      name: `node ${number}`,
      up: [],
      upSince: null,
      linkSteps: [[0, 0]],
      faults: [],
      marks: [],
    }));
}

function endOf(records, data) {
  const last = records.length ? records.at[records.length - 1] : 0;
  return Math.max(Number.isFinite(last) ? last : 0, data.result.virtual ?? 0, 0.001);
}

function countLinks(node, at, by) {
  const [, links] = node.linkSteps.at(-1);
  node.linkSteps.push([at, links + by]);
}

function goDown(node, at) {
  if (node.upSince !== null) node.up.push([node.upSince, at]);
  node.upSince = null;
}

function finishNode(node, end) {
  goDown(node, end);
  node.faults.sort((a, b) => a.from - b.from);
  node.linksMost = largest(node.linkSteps.map(([, links]) => links));
}
