// Curves: how complete the nodes are, how fast messages spread, who knows of which fork.

import { FAULT_GROUPS, palette, shadeFault } from "./palette.mjs";
import { AXIS_HEIGHT, clipToTime, niceStep, Plot } from "./plot.mjs";
import { axes, stepPath } from "./charts.mjs";
import { bringLanesIntoView } from "./lanes.mjs";
import {
  card,
  count,
  duration,
  element,
  largest,
  longList,
  lowerBound,
  percent,
  ranges,
  seconds,
  stepAt,
} from "./text.mjs";

const STRIP = 7; // height of a row of faults
const BINS_PX = 5; // width of a bar

export function makeConvergence(moment, story) {
  const { history, convergence } = story;
  const area = makeArea(history, 110);
  const plot = new Plot(moment, {
    label: "Share of pairs of a node and a feed it follows that are complete, over time.",
    height: () => area.height,
    draw: (context, scale) => {
      shadeFaults(context, scale, history, area.height);
      drawRules(context, scale, area, [
        [0, "0 %"],
        [0.5, "50 %"],
        [1, "100 %"],
      ]);
      context.save();
      clipToTime(context, scale, area.height);
      drawCurve(context, scale, area, convergence.curve, palette.honest);
      if (moment.node !== null)
        drawCurve(context, scale, area, convergence.shares[moment.node], palette.accent, [5, 3]);
      context.restore();
    },
    explain: (scale, x) => {
      const time = scale.time(x);
      const share = convergence.shareAt(time);
      return share === null || x < scale.left
        ? null
        : `${seconds(time)}: ${percent(share, 1)} complete`;
    },
  });
  const known = convergence.curve.some(([, share]) => share !== null);
  const note = known
    ? "share of (node, feed it follows) pairs where the node has all there is; shaded: faults"
    : "no honest node follows another here";
  return card(
    "How complete the nodes are",
    note,
    plot.root,
    element(
      "p",
      { class: "soft small" },
      "Among honest nodes. A feed that forked is left out from then on: no one needs all of it.",
      history.healedAt === null
        ? ""
        : ` Broken line: all faults are over, at ${seconds(history.healedAt)}.`,
    ),
    ...makeLacking(story),
  );
}

// Why it is not 100 % at the end. A green run may end so.
function makeLacking({ history, convergence, data }) {
  const lacking = convergence.lacking();
  if (!lacking.length) return [];
  const put = history.faults.some(({ fault }) => fault === "restore" || fault === "lying_disk");
  const green = data.result.liveness === "ok";
  const reason = (reach) => {
    if (!reach)
      return "out of reach: no chain of connected honest nodes that follow this feed leads there";
    return green && put
      ? "a node that was put back to an old copy without noticing may learn of it later"
      : "though a chain of connected honest nodes leads there";
  };
  const items = lacking.map(({ feed, places, reach }) => {
    const who = ranges(places.map((place) => history.nodes[place].number));
    const nodes = places.length === 1 ? `node ${who} lacks` : `nodes ${who} lack`;
    return element("li", {}, `${nodes} messages of ${history.nodes[feed].name}: ${reason(reach)}`);
  });
  const list = longList({ class: "soft small lacking" }, items);
  return [element("p", { class: "soft small" }, "Incomplete at the end:"), list];
}

export function makeRate(moment, { history, convergence, data }) {
  const area = makeArea(history, 70);
  const plot = new Plot(moment, {
    label: "Messages that nodes appended to their copies of others’ feeds, a second.",
    height: () => area.height,
    draw: (context, scale) => {
      const bars = binned(convergence.appended, scale);
      const most = largest(
        bars.map(([, , rate]) => rate),
        1,
      );
      shadeFaults(context, scale, history, area.height);
      const step = niceStep(most / 2.2);
      drawRules(
        context,
        scale,
        area,
        [0, 1, 2]
          .filter((place) => place * step <= most)
          .map((place) => [(place * step) / most, count(Number((place * step).toPrecision(3)))]),
      );
      context.fillStyle = palette.append;
      for (const [x, width, rate] of bars) {
        context.fillRect(
          x,
          area.y(rate / most),
          Math.max(width - 1, 1),
          area.bottom - area.y(rate / most),
        );
      }
    },
    explain: (scale, x) => {
      const bar = binned(convergence.appended, scale).find(
        ([left, width]) => left <= x && x < left + width,
      );
      return bar
        ? `${seconds(scale.time(x))}: ${count(Math.round(bar[2]))} messages a second`
        : null;
    },
  });
  const { appends } = data.thinned;
  const note = "copies of messages that arrived at nodes, a second";
  return card(
    "Appended messages a second",
    appends === 1 ? note : `${note}; one of ${appends} appends is kept here`,
    plot.root,
  );
}

function binned(appended, scale) {
  const bins = Math.max(1, Math.floor((scale.right - scale.left) / BINS_PX));
  const width = (scale.right - scale.left) / bins;
  const sums = new Float64Array(bins);
  const first = lowerBound(appended, scale.from, ([at]) => at);
  for (let place = first; place < appended.length && appended[place][0] <= scale.to; place += 1) {
    sums[Math.min(bins - 1, Math.floor((scale.x(appended[place][0]) - scale.left) / width))] +=
      appended[place][1];
  }
  const long = width / scale.perSecond;
  return Array.from(sums, (sum, place) => [scale.left + place * width, width, sum / long]);
}

// A thin row for each group of faults above the drawing, and a breath of it all the way down.
function shadeFaults(context, scale, history, height) {
  const { faults, healedAt } = history;
  context.save();
  clipToTime(context, scale, height);
  groupsOf(history).forEach((group, row) => {
    for (const [from, to] of merged(faults.filter((fault) => fault.group === group))) {
      if (to < scale.from || from > scale.to) continue;
      const [x, width] = [scale.x(from), Math.max(2, scale.x(to) - scale.x(from))];
      shadeFault(context, group, x, AXIS_HEIGHT + row * STRIP, width, STRIP - 1);
      context.globalAlpha = 0.06;
      context.fillStyle = palette[group];
      context.fillRect(x, AXIS_HEIGHT, width, height);
      context.globalAlpha = 1;
    }
  });
  if (healedAt !== null) drawHealing(context, scale.x(healedAt), height);
  context.restore();
}

function drawHealing(context, x, height) {
  context.strokeStyle = palette.honest;
  context.setLineDash([6, 3]);
  context.beginPath();
  context.moveTo(x, AXIS_HEIGHT);
  context.lineTo(x, height);
  context.stroke();
}

function groupsOf({ faults }) {
  return FAULT_GROUPS.filter((group) => faults.some((fault) => fault.group === group));
}

export function merged(faults) {
  const spans = [];
  for (const { from, to } of faults) {
    if (spans.length && from <= spans.at(-1)[1]) spans.at(-1)[1] = Math.max(spans.at(-1)[1], to);
    else spans.push([from, to]);
  }
  return spans;
}

function drawRules(context, scale, area, rules) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.font = "11px system-ui, sans-serif";
  for (const [share, label] of rules) {
    const y = area.y(share);
    context.strokeStyle = palette.line;
    context.beginPath();
    context.moveTo(scale.left, y);
    context.lineTo(scale.right, y);
    context.stroke();
    context.fillStyle = palette.soft;
    context.fillText(label, scale.left - 6, y);
  }
}

function drawCurve(context, scale, area, steps, colour, dash = []) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.setLineDash(dash);
  context.beginPath();
  let share = stepAt(steps, scale.from, null);
  if (share !== null) context.moveTo(scale.left, area.y(share));
  for (const [at, next] of steps) {
    if (at < scale.from) continue;
    const x = Math.min(scale.x(at), scale.right);
    if (share !== null) context.lineTo(x, area.y(share));
    if (at > scale.to) break;
    if (next !== null && share === null) context.moveTo(x, area.y(next));
    else if (next !== null) context.lineTo(x, area.y(next));
    share = next;
  }
  if (share !== null) context.lineTo(scale.right, area.y(share));
  context.stroke();
  context.setLineDash([]);
  context.lineWidth = 1;
}

// Where a drawing has its room, below the rows of faults. `y` of a share of it.
function makeArea(history, tall) {
  const above = AXIS_HEIGHT + groupsOf(history).length * STRIP + 6;
  return {
    height: above + tall + 6,
    tall,
    bottom: above + tall,
    y: (share) => above + tall * (1 - share),
  };
}

// Against the time since each fork was made; null without forks.
export function makeForkCurve(moment, { history, convergence }) {
  const { forks } = convergence;
  if (forks.length === 0) return null;
  const honest = history.nodes.filter((node) => node.honest).length;
  const longest = largest(
    forks.map((fork) => fork.known.at(-1)[0] - fork.made),
    0.001,
  );
  const chart = axes({
    label: "Share of honest nodes that know of each fork, over the time since it was made",
    x: { most: longest * 1.05, say: duration, title: "time since the fork was made" },
    y: { most: 1, say: (share) => percent(share) },
  });
  for (const fork of forks)
    chart.root.append(stepPath(chart, knowing(fork, honest, longest * 1.05), "fork"));
  const rows = forks.map((fork) => element("li", {}, forkButton(moment, history, fork, honest)));
  return card(
    "How forks are found",
    "share of honest nodes that hold the evidence, over the time since the fork was made",
    chart.root,
    element("ul", { class: "key" }, ...rows),
  );
}

function knowing(fork, honest, longest) {
  const steps = fork.known.map(([at], place) => [at - fork.made, (place + 1) / honest]);
  return [[0, 0], ...steps, [longest, fork.known.length / honest]];
}

function forkButton(moment, { nodes }, fork, honest) {
  const first = fork.known[0][0] - fork.made;
  const last = fork.known.at(-1)[0] - fork.made;
  const when = fork.seen
    ? `first known after ${duration(first)}, last after ${duration(last)}`
    : "made at an unknown time; counted from its first discovery";
  const button = element(
    "button",
    { type: "button" },
    `${nodes[fork.author].name} at ${seconds(fork.made)}: ` +
      `${fork.known.length} of ${honest} honest nodes know (${when})`,
  );
  button.addEventListener("click", () => {
    moment.seek(fork.made);
    bringLanesIntoView();
  });
  return button;
}
