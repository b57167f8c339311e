// A lane for each node: whether it runs, how many links it has, what goes wrong, what it does.

import { GROUP_WORDS } from "./faults.mjs";
import { drawMark, FAULT_GROUPS, palette, sample, shadeFault } from "./palette.mjs";
import { AXIS_HEIGHT, clipToTime, drawName, Plot, within } from "./plot.mjs";
import { stateWords } from "./state.mjs";
import { card, element, lowerBound, plural, seconds, stepAt } from "./text.mjs";

const NEAR_PX = 7;
const LANES_MAX = 120; // more would be thinner than a line
// What hides what: the last is on top.
const ORDER = [
  "asked",
  "link",
  "publish",
  "blob",
  "stop",
  "start",
  "disk",
  "crash",
  "refused",
  "fork",
  "misdeed",
  "violation",
];

export function makeLanes(moment, story) {
  const { history } = story;
  const rows = choose(history.nodes);
  const lane = laneHeight(rows.length);
  const rowAt = (y) => rows[Math.floor((y - AXIS_HEIGHT) / lane)] ?? null;
  const plot = new Plot(moment, {
    label: `${plural(history.nodes.length, "node")} over time; “What happened” has the same as text.`,
    height: () => AXIS_HEIGHT + rows.length * lane + 2,
    draw: (context, scale, width) =>
      rows.forEach((place, row) =>
        drawLane(context, scale, width, story, {
          place,
          y: AXIS_HEIGHT + row * lane,
          lane,
          chosen: moment.node === place,
        }),
      ),
    explain: (scale, x, y) => (rowAt(y) === null ? null : explain(story, scale, rowAt(y), x)),
    choose: (scale, x, y) => {
      const place = rowAt(y);
      if (place !== null)
        moment.set({ node: place === moment.node && x < scale.left ? null : place });
    },
  });
  const note =
    rows.length < history.nodes.length
      ? `the ${rows.length} nodes with most to tell of ${history.nodes.length}`
      : "";
  const made = card("Nodes over time", note, plot.root, makeKey(story));
  made.id = "lanes";
  return made;
}

// Who moves the cursor from afar wants to see where it went.
export function bringLanesIntoView() {
  document.getElementById("lanes")?.scrollIntoView({ block: "start" });
}

function laneHeight(rows) {
  return (
    [
      [24, 26],
      [45, 20],
      [80, 13],
    ].find(([most]) => rows <= most)?.[1] ?? 9
  );
}

// All, or those that are not like the others.
function choose(nodes) {
  const places = nodes.map((_, place) => place);
  if (places.length <= LANES_MAX) return places;
  const interest = (place) =>
    Number(!nodes[place].honest) * 1e9 +
    nodes[place].faults.length * 1e4 +
    nodes[place].marks.length;
  return places
    .sort((a, b) => interest(b) - interest(a))
    .slice(0, LANES_MAX)
    .sort((a, b) => a - b);
}

function drawLane(context, scale, width, story, row) {
  const node = story.history.nodes[row.place];
  const { y, lane } = row;
  const middle = y + lane / 2;
  context.fillStyle = node.honest ? palette.faint : palette["byzantine-back"];
  if (!node.honest || row.chosen) context.fillRect(0, y, width, lane);
  context.fillStyle = palette.line;
  context.fillRect(0, y + lane - 0.5, width, 0.5);
  if (lane >= 9) drawName(context, scale, node, middle, { chosen: row.chosen, small: lane < 15 });
  context.save();
  clipToTime(context, scale, y + lane);
  drawFaults(context, scale, node, row);
  drawLife(context, scale, node, middle, lane);
  drawAppends(context, scale, story, node, row);
  drawMarks(context, scale, story, node, middle, lane);
  context.restore();
}

function drawFaults(context, scale, node, { y, lane }) {
  for (const fault of node.faults) {
    if (fault.everywhere && fault.group === "weak") continue; // no node is different
    if (fault.to < scale.from || fault.from > scale.to) continue;
    const x = scale.x(fault.from);
    shadeFault(context, fault.group, x, y, Math.max(scale.x(fault.to) - x, 2), lane - 0.5);
  }
}

// A bar while it is up, thicker with more links; a broken line while it is down.
function drawLife(context, scale, node, middle, lane) {
  const thickest = Math.max(lane * 0.42, 2);
  context.fillStyle = node.honest ? palette.honest : palette.byzantine;
  let downFrom = scale.from;
  for (const [from, to] of node.up) {
    if (to < scale.from || from > scale.to) continue;
    drawDown(context, scale, downFrom, from, middle);
    context.globalAlpha = 0.5;
    drawSteps(
      context,
      scale,
      node,
      [Math.max(from, scale.from), Math.min(to, scale.to)],
      (links) => {
        const thick = Math.max(1.5, (thickest * links) / Math.max(node.linksMost, 1));
        return [middle - thick / 2, thick];
      },
    );
    context.globalAlpha = 1;
    downFrom = to;
  }
  drawDown(context, scale, downFrom, scale.to, middle);
}

function drawDown(context, scale, from, to, middle) {
  if (to <= from) return;
  context.save();
  context.strokeStyle = palette.down;
  context.setLineDash([3, 4]);
  context.beginPath();
  context.moveTo(scale.x(from), middle);
  context.lineTo(scale.x(to), middle);
  context.stroke();
  context.restore();
}

function drawSteps(context, scale, node, [from, to], shape) {
  context.beginPath(); // one path: nothing is laid on itself
  const add = (start, end, links) => {
    const [y, height] = shape(links);
    context.rect(scale.x(start), y, scale.x(end) - scale.x(start), height);
  };
  let [at, links] = [from, stepAt(node.linkSteps, from, 0)];
  for (
    let place = lowerBound(node.linkSteps, from, ([time]) => time);
    place < node.linkSteps.length;
    place += 1
  ) {
    const [next, count] = node.linkSteps[place];
    if (next >= to) break;
    if (next > at) add(at, next, links);
    [at, links] = [next, count];
  }
  add(at, to, links);
  context.fill();
}

// Appends are many: how many fall on a pixel is the height there.
function drawAppends(context, scale, story, node, { y, lane }) {
  const { records, kinds } = story.history;
  const [first, last] = within(node.marks, records.at, scale.from, scale.to);
  const counts = new Map();
  for (let place = first; place < last; place += 1) {
    const i = node.marks[place];
    if (records.kind[i] !== kinds.APPENDED) continue;
    const x = Math.floor(scale.x(records.at[i]));
    counts.set(x, (counts.get(x) ?? 0) + 1);
  }
  context.fillStyle = palette.append;
  for (const [x, some] of counts) {
    const height = Math.min(lane * 0.34, 2 + Math.log2(some) * 1.5);
    context.fillRect(x, y + lane - 1 - height, 1.2, height);
  }
}

function drawMarks(context, scale, story, node, middle, lane) {
  const size = Math.min(Math.max(lane * 0.2, 1.8), 5);
  const last = new Map();
  const drawn = marksIn(story, node, scale.from, scale.to);
  drawn.sort((a, b) => a.order - b.order);
  for (const { mark, at } of drawn) {
    const x = scale.x(at);
    if (x - (last.get(mark) ?? -9) < 1.5) continue; // it would be hidden
    last.set(mark, x);
    drawMark(context, mark, x, middle, size);
  }
}

function marksIn(story, node, from, to) {
  const { records } = story.history;
  const [first, last] = within(node.marks, records.at, from, to);
  const found = [];
  for (let place = first; place < last; place += 1) {
    const i = node.marks[place];
    const mark = story.words.markOf(i);
    const order = ORDER.indexOf(mark);
    if (order >= 0) found.push({ i, at: records.at[i], mark, order });
  }
  return found;
}

function explain(story, scale, place, x) {
  const { history, words } = story;
  const node = history.nodes[place];
  const time = scale.time(x);
  const head = node.honest ? node.name : `${node.name}, byzantine (${node.role})`;
  if (x < scale.left) return `${head}\nfollows ${plural(node.follows.length, "node")}`;
  const around = NEAR_PX / scale.perSecond;
  const [first, last] = within(node.marks, history.records.at, time - around, time + around);
  const near = node.marks.slice(first, last);
  const told = near
    .filter((i) => words.topicOf(i) !== "faults")
    .slice(0, 4)
    .map((i) => `${seconds(history.records.at[i], 3)}  ${words.sentence(i)}`);
  const more = near.length > 4 ? [`… and ${near.length - 4} more here: zoom in`] : [];
  return [`${head}, at ${seconds(time)}: ${stateWords(story, place, time)}`, ...told, ...more].join(
    "\n",
  );
}

const MARKS = [
  ["publish", "publishes"],
  ["append", "appends of others’ messages"],
  ["crash", "crash"],
  ["stop", "clean stop"],
  ["start", "start"],
  ["disk", "disk full, or an older disk"],
  ["refused", "refuses something"],
  ["fork", "finds a fork"],
  ["misdeed", "misbehaves"],
  ["blob", "blob arrives or fails"],
  ["violation", "breaks a rule"],
  ["link", "connection made or lost"],
];

function makeKey({ history, words }) {
  const occurring = new Set(history.events.map((i) => words.markOf(i)));
  const groups = FAULT_GROUPS.filter((group) =>
    history.faults.some((fault) => fault.group === group),
  );
  const shades = groups.map((group) =>
    keyItem(
      sample((context, width, height) => shadeFault(context, group, 0, 0, width, height), 22, 14),
      GROUP_WORDS[group],
    ),
  );
  const marks = MARKS.filter(([mark]) => occurring.has(mark)).map(([mark, word]) =>
    keyItem(
      sample((context, width, height) => drawMark(context, mark, width / 2, height / 2)),
      word,
    ),
  );
  const bar = keyItem(
    sample(
      (context, width, height) => {
        context.globalAlpha = 0.45;
        context.fillStyle = palette.honest;
        context.fillRect(0, height / 2 - 1, width / 2, 2);
        context.fillRect(width / 2, height / 2 - 4, width / 2, 8);
      },
      22,
      14,
    ),
    "up, with few or many connections",
  );
  const down = keyItem(
    sample(
      (context, width, height) => {
        context.strokeStyle = palette.down;
        context.setLineDash([3, 4]);
        context.beginPath();
        context.moveTo(0, height / 2);
        context.lineTo(width, height / 2);
        context.stroke();
      },
      22,
      14,
    ),
    "down",
  );
  return element("ul", { class: "key", "aria-label": "Key" }, bar, down, ...marks, ...shades);
}

export function keyItem(picture, word) {
  return element("li", {}, picture, word);
}
