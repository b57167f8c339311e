// How the nodes are at a moment, in words.

import { faultWords } from "./faults.mjs";
import { duration, percent, plural, ranges, seconds, stepAt } from "./text.mjs";

export function stateWords({ history, convergence }, place, time) {
  const node = history.nodes[place];
  if (!isUp(node, time)) return ["down", ...faultsAt(node, time)].join(", ");
  const share = convergence.shareAt(time, place);
  const has = share === null ? [] : [`has all of ${percent(share)} of the feeds it follows`];
  return [
    plural(stepAt(node.linkSteps, time, 0), "connection"),
    ...has,
    ...faultsAt(node, time),
  ].join(", ");
}

export function isUp(node, time) {
  return node.up.some(([from, to]) => from <= time && time < to) || node.up.at(-1)?.[1] === time;
}

function faultsAt(node, time) {
  return node.faults
    .filter((fault) => fault.from <= time && time < fault.to)
    .map(
      (fault) =>
        `${faultWords(fault)} (${duration(time - fault.from)} of ${duration(fault.to - fault.from)})`,
    );
}

// Of all nodes, in a sentence or two; and of the chosen one.
export function summary(story, { at, node }) {
  const { history, convergence } = story;
  const up = history.nodes.filter((each) => isUp(each, at)).length;
  const ends = history.nodes.reduce((sum, each) => sum + stepAt(each.linkSteps, at, 0), 0);
  const share = convergence.shareAt(at);
  const faults = faultsNow(history, at);
  const parts = [
    `${up} of ${plural(history.nodes.length, "node")} up`,
    plural(Math.round(ends / 2), "connection"),
  ];
  if (share !== null) parts.push(`${percent(share)} complete`);
  const trouble = faults.length ? ` Now: ${faults.join(", ")}.` : " No faults now.";
  const chosen =
    node === null ? "" : ` ${history.nodes[node].name}: ${stateWords(story, node, at)}.`;
  return `At ${seconds(at)}: ${parts.join(", ")}.${trouble}${chosen}`;
}

// Equal ones as one, with all of their nodes.
function faultsNow({ faults, nodes }, at) {
  const now = new Map();
  for (const fault of faults.filter((each) => each.from <= at && at < each.to)) {
    const apart = fault.group === "separation" ? fault.place : ""; // two partitions are not one
    const key = `${faultWords(fault)} ${apart}`;
    if (!now.has(key)) now.set(key, { words: faultWords(fault), places: new Set() });
    for (const place of fault.nodes) now.get(key).places.add(place);
  }
  return [...now.values()].map(({ words, places }) => `${words} (${placesWords(nodes, places)})`);
}

function placesWords(nodes, places) {
  return places.size === nodes.length ? "all" : ranges([...places].map((at) => nodes[at].number));
}
