// The network at the cursor: nodes on rings, connections, messages on their way, partitions.

import { DROPPED } from "./packets.mjs";
import { drawMark, palette, sample } from "./palette.mjs";
import { sharpen } from "./plot.mjs";
import { keyItem } from "./lanes.mjs";
import { orderOf, placeNodes } from "./spots.mjs";
import { isUp, stateWords, summary } from "./state.mjs";
import { card, element, lowerBound } from "./text.mjs";
import { hideTip, showTip } from "./tip.mjs";

const DOTS_MAX = 500;
const SEEN_S = 0.35; // of real time: a dot stays at least so long
const FLIGHT_MAX_S = 30; // who is longer under way is not drawn
const NAMED_MAX = 60;

export class Topology {
  constructor(moment, story) {
    this.moment = moment;
    this.story = story;
    this.order = orderOf(story.history);
    this.colours = new Map(story.types.map((type) => [type.what, type]));
    this.canvas = element("canvas", {
      role: "img",
      tabindex: "0",
      "aria-label":
        "The network at the cursor: nodes, connections and messages. The line below says the same.",
    });
    this.now = element("p", { class: "now", role: "status" });
    this.root = card(
      "The network",
      "at the cursor",
      element("div", { class: "topology" }, this.canvas),
      this.now,
      makeKey(),
    );
    moment.watch((changed) => this.#changed(changed));
    new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
    this.#listen();
  }

  #changed(changed) {
    if (!["at", "node", "drawing", "playing"].some((name) => changed.has(name))) return;
    this.draw();
    // While it plays, a screen reader would never come to an end.
    if (!this.moment.playing) this.now.textContent = summary(this.story, this.moment);
  }

  draw() {
    const side = this.canvas.clientWidth;
    if (!side) return;
    const context = sharpen(this.canvas, side, side);
    this.spots = placeNodes(this.order, side);
    this.#drawPartitions(context);
    this.#drawLinks(context);
    this.#drawMessages(context);
    this.spots.forEach((spot, place) => this.#drawNode(context, spot, place));
  }

  #drawPartitions(context) {
    const { faults } = this.story.history;
    const time = this.moment.at;
    const apart = faults.filter(
      (fault) =>
        fault.group === "separation" && !fault.everywhere && fault.from <= time && time < fault.to,
    );
    apart.forEach((fault, row) => {
      context.globalAlpha = 0.22;
      context.strokeStyle = context.fillStyle = palette[row % 2 ? "weak" : "separation"];
      context.lineCap = context.lineJoin = "round";
      const inOrder = this.order.filter((place) => fault.nodes.includes(place));
      drawRegion(
        context,
        inOrder.map((place) => this.spots[place]),
        this.order.length,
      );
      context.globalAlpha = 1;
    });
  }

  #drawLinks(context) {
    const { links } = this.story.history;
    const time = this.moment.at;
    const up = new Map(); // pairs, and how many ends see the link
    for (const link of links) {
      if (link.up > time) break;
      if (link.down <= time) continue;
      const key = Math.min(link.from, link.to) * this.spots.length + Math.max(link.from, link.to);
      up.set(key, (up.get(key) ?? 0) + 1);
    }
    for (const [key, ends] of up) {
      const [a, b] = [Math.floor(key / this.spots.length), key % this.spots.length];
      const near = this.moment.node === a || this.moment.node === b;
      context.strokeStyle = near ? palette.accent : palette.down;
      context.globalAlpha = near ? 0.95 : Math.max(0.25, Math.min(0.7, 60 / up.size));
      context.lineWidth = near ? 1.6 : 1;
      context.setLineDash(ends > 1 || !this.#tellsOfLinks(a, b) ? [] : [4, 4]);
      context.beginPath();
      context.moveTo(this.spots[a].x, this.spots[a].y);
      context.lineTo(this.spots[b].x, this.spots[b].y);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // A byzantine node says nothing of its connections.
  #tellsOfLinks(...places) {
    return places.every((place) => this.story.history.nodes[place].honest);
  }

  #drawMessages(context) {
    const { packets } = this.story.history;
    const shown = this.moment.speed * SEEN_S;
    for (const place of underWay(packets, this.moment.at, shown)) {
      const type = this.colours.get(packets.what[place]);
      if (!type.shown || packets.from[place] < 0 || packets.to[place] < 0) continue;
      const took = Math.max(packets.ended[place] - packets.sent[place], shown);
      const lost = packets.fate[place] === DROPPED;
      const part = Math.min(1, (this.moment.at - packets.sent[place]) / took) * (lost ? 0.6 : 1);
      const [a, b] = [this.spots[packets.from[place]], this.spots[packets.to[place]]];
      const [x, y] = [a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part];
      context.fillStyle = palette[type.colour];
      if (lost && part > 0.5) drawMark(context, "refused", x, y, 5);
      else {
        context.beginPath();
        context.arc(x, y, 3, 0, 7);
        context.fill();
      }
    }
  }

  // Filled as far as it has what it follows; a byzantine one is a diamond; who forked has a ring.
  #drawNode(context, { x, y, r, angle }, place) {
    const { history, convergence } = this.story;
    const node = history.nodes[place];
    const time = this.moment.at;
    const up = isUp(node, time);
    const colour = up ? palette[node.honest ? "honest" : "byzantine"] : palette.down;
    context.save();
    context.translate(x, y);
    outline(context, r, node.honest);
    context.fillStyle = up ? palette.card : palette.gone;
    context.fill();
    const share = up && node.honest ? (convergence.shareAt(time, place) ?? 1) : Number(up);
    fill(context, r, share, colour, node.honest);
    outline(context, r, node.honest);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke();
    context.restore();
    if (!up) drawMark(context, "refused", x, y, r * 0.8);
    this.#drawRings(context, { x, y, r }, place);
    if (this.order.length <= NAMED_MAX || place === this.moment.node)
      drawNumber(context, x, y, r, angle, node, place === this.moment.node);
  }

  #drawRings(context, { x, y, r }, place) {
    const time = this.moment.at;
    const { forks } = this.story.convergence;
    if (forks.some((fork) => fork.author === place && fork.made <= time))
      ring(context, x, y, r + 4, palette.fork, 3);
    const knows = forks.filter((fork) =>
      fork.known.some(([at, who]) => who === place && at <= time),
    ).length;
    if (knows) drawMark(context, "evidence", x + r * 0.8, y - r * 0.8, Math.min(4, r * 0.45));
    if (place === this.moment.node) ring(context, x, y, r + 7, palette.accent, 2);
  }

  #listen() {
    const placeAt = (event) =>
      this.spots.findIndex(
        ({ x, y, r }) => Math.hypot(x - event.offsetX, y - event.offsetY) < r + 5,
      );
    this.canvas.addEventListener("click", (event) => {
      const place = placeAt(event);
      this.moment.set({ node: place < 0 || place === this.moment.node ? null : place });
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const place = placeAt(event);
      if (place < 0) return hideTip();
      const node = this.story.history.nodes[place];
      return showTip(
        event,
        `${this.story.words.name(node.number)}: ${stateWords(this.story, place, this.moment.at)}`,
      );
    });
    this.canvas.addEventListener("pointerleave", hideTip);
  }
}

function drawRegion(context, spots, all) {
  const wide = (spots[0]?.r ?? 0) * 2 + 18;
  context.lineWidth = wide;
  context.beginPath();
  spots.forEach(({ x, y }, place) => {
    const before = spots[place - 1];
    const near = before && Math.hypot(x - before.x, y - before.y) < wide * 2 + 900 / all;
    if (near) context.lineTo(x, y);
    else context.moveTo(x, y);
    context.lineTo(x + 0.01, y);
  });
  context.stroke();
}

// Places of packets that are to be seen at a time.
function underWay(packets, time, shown) {
  const first = lowerBound(packets.sent, time - Math.max(FLIGHT_MAX_S, shown));
  const last = lowerBound(packets.sent, time);
  const found = [];
  for (let place = first; place < last; place += 1) {
    if (
      Math.max(packets.ended[place], packets.sent[place] + shown) < time ||
      packets.ended[place] === Infinity
    )
      continue;
    found.push(place);
  }
  const step = Math.max(1, found.length / DOTS_MAX);
  return step === 1
    ? found
    : Array.from({ length: DOTS_MAX }, (_, i) => found[Math.floor(i * step)]);
}

function outline(context, r, honest) {
  context.beginPath();
  if (honest) return context.arc(0, 0, r, 0, 7);
  for (const [dx, dy] of [
    [0, -1],
    [1, 0],
    [0, 1],
    [-1, 0],
  ])
    context.lineTo(dx * r * 1.25, dy * r * 1.25);
  return context.closePath();
}

function fill(context, r, share, colour, honest) {
  if (share <= 0) return;
  context.fillStyle = colour;
  if (honest && share < 1) {
    context.beginPath();
    context.moveTo(0, 0);
    context.arc(0, 0, r, -Math.PI / 2, -Math.PI / 2 + share * 2 * Math.PI);
    context.closePath();
  } else outline(context, r, honest);
  context.globalAlpha = 0.85;
  context.fill();
  context.globalAlpha = 1;
}

function ring(context, x, y, r, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.arc(x, y, r, 0, 7);
  context.stroke();
}

function drawNumber(context, x, y, r, angle, node, chosen) {
  context.fillStyle = node.honest ? palette.text : palette.byzantine;
  context.font = `${chosen ? "700 " : ""}12px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(
    String(node.number),
    x + Math.cos(angle) * (r + 15),
    y + Math.sin(angle) * (r + 13),
  );
}

function makeKey() {
  const node = (draw) =>
    sample(
      (context, width, height) => {
        context.translate(width / 2, height / 2);
        draw(context);
      },
      18,
      18,
    );
  const disc = (share, colour, honest, back = "card") =>
    node((context) => {
      outline(context, 6, honest);
      context.fillStyle = palette[back];
      context.fill();
      fill(context, 6, share, palette[colour], honest);
      outline(context, 6, honest);
      context.strokeStyle = palette[colour];
      context.stroke();
    });
  return element(
    "ul",
    { class: "key", "aria-label": "Key" },
    keyItem(disc(0.4, "honest", true), "honest, has 40 % of the feeds it follows"),
    keyItem(disc(1, "byzantine", false), "byzantine"),
    keyItem(
      node((context) => {
        outline(context, 6, true);
        context.fillStyle = palette.gone;
        context.fill();
        drawMark(context, "refused", 0, 0, 5);
      }),
      "down",
    ),
    keyItem(
      node((context) => ring(context, 0, 0, 6, palette.fork, 2.5)),
      "forked its feed",
    ),
    keyItem(
      node((context) => drawMark(context, "evidence", 0, 0, 4)),
      "holds evidence of a fork",
    ),
    keyItem(
      node((context) => {
        context.globalAlpha = 0.25;
        context.fillStyle = palette.separation;
        context.fillRect(-9, -6, 18, 12);
      }),
      "cut off",
    ),
    element("li", {}, "broken line: only one end still sees the connection"),
  );
}
