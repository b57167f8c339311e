// Each message as a line from the lane of its sender to that of its receiver.

import { palette } from "./palette.mjs";
import { DELIVERED, DROPPED } from "./packets.mjs";
import { AXIS_HEIGHT, clipToTime, drawName, Plot } from "./plot.mjs";
import { bytes, card, count, duration, element, lowerBound, seconds } from "./text.mjs";

const LINES_MAX = 2000; // more is a blot
const NEAR_PX = 6;
const HEIGHT_MAX = 620;
const LOST = 0.6; // how far on its way a dropped one gets
const FLIGHT_MAX_S = 60; // who is longer under way is drawn only where it was sent

export function makeDiagram(moment, story) {
  const { history } = story;
  const room = element("p", { class: "note", role: "status" });
  const rows = history.nodes.length;
  const lane = Math.min(30, HEIGHT_MAX / rows);
  const rowY = (place) => AXIS_HEIGHT + (place + 0.5) * lane;
  const rowAt = (y) => Math.floor((y - AXIS_HEIGHT) / lane);
  let lines = [];
  const plot = new Plot(moment, {
    label: "Messages between nodes over time, a line each.",
    height: () => AXIS_HEIGHT + rows * lane + 4,
    draw: (context, scale, width, height) => {
      drawRows(context, scale, width, history, { rowY, lane, chosen: moment.node });
      const found = findLines(story, moment, scale);
      lines = found.places.map((place) => lineOf(history.packets, place, scale, rowY));
      room.textContent = noteOf(found);
      context.save();
      clipToTime(context, scale, height);
      drawLines(context, story, lines);
      context.restore();
    },
    explain: (_, x, y) => explain(story, nearest(lines, x, y)),
    choose: (_, x, y) => {
      const place = rowAt(y);
      if (history.nodes[place]) moment.set({ node: place });
    },
  });
  const close = element(
    "button",
    { type: "button", class: "screen-only" },
    "Zoom to 1 s at the cursor",
  );
  close.addEventListener("click", () => moment.window(moment.at - 0.5, moment.at + 0.5));
  return card(
    "Messages",
    thinnedNote(story.data.thinned.packets),
    plot.root,
    room,
    close,
    makeKey(moment, story),
  );
}

function thinnedNote(packets) {
  if (packets === 1)
    return "a line from sender to receiver, from when it was sent to when it arrived";
  return packets === 0
    ? "this run is too long to keep any messages here"
    : `one of ${count(packets)} messages is kept here`;
}

function noteOf({ places, all }) {
  if (all === 0) return "No messages in this window.";
  return places.length < all
    ? `${count(places.length)} of ${count(all)} messages of this window: zoom in to see all.`
    : "";
}

function drawRows(context, scale, width, { nodes }, { rowY, lane, chosen }) {
  nodes.forEach((node, place) => {
    context.fillStyle = palette.line;
    if (lane > 4) context.fillRect(scale.left, rowY(place), width - scale.left, 0.7);
    if (lane >= 9 || place === chosen) {
      drawName(context, scale, node, rowY(place), { chosen: place === chosen, small: lane < 15 });
    }
  });
}

// The places of packets that the window shows, evenly thinned down to what can be seen.
function findLines({ history, types }, { node }, scale) {
  const { packets } = history;
  const hidden = new Set(types.filter((type) => !type.shown).map((type) => type.what));
  const first = lowerBound(packets.sent, scale.from - FLIGHT_MAX_S);
  const places = [];
  for (let place = first; place < packets.length && packets.sent[place] <= scale.to; place += 1) {
    if (
      packets.sent[place] < scale.from &&
      !(packets.ended[place] > scale.from && packets.ended[place] < Infinity)
    )
      continue;
    if (hidden.has(packets.what[place])) continue;
    if (node !== null && packets.from[place] !== node && packets.to[place] !== node) continue;
    if (packets.from[place] >= 0 && packets.to[place] >= 0) places.push(place);
  }
  if (places.length <= LINES_MAX) return { places, all: places.length };
  const step = places.length / LINES_MAX;
  return {
    places: Array.from({ length: LINES_MAX }, (_, i) => places[Math.floor(i * step)]),
    all: places.length,
  };
}

function lineOf(packets, place, scale, rowY) {
  const fate = packets.fate[place];
  const [y1, y2] = [rowY(packets.from[place]), rowY(packets.to[place])];
  const far = fate === DELIVERED ? 1 : fate === DROPPED ? LOST : 0.25;
  const ended = Number.isFinite(packets.ended[place]) ? packets.ended[place] : packets.sent[place];
  return {
    place,
    fate,
    x1: scale.x(packets.sent[place]),
    y1,
    x2: scale.x(ended),
    y2: y1 + (y2 - y1) * far,
  };
}

function drawLines(context, { history, types }, lines) {
  const colours = new Map(types.map((type) => [type.what, type.colour]));
  const few = lines.length < 400;
  context.globalAlpha = few ? 0.85 : Math.max(0.25, 200 / lines.length);
  for (const { place, fate, x1, y1, x2, y2 } of lines) {
    context.strokeStyle = context.fillStyle = palette[colours.get(history.packets.what[place])];
    context.lineWidth = few ? 1.4 : 1;
    context.setLineDash(fate === DELIVERED ? [] : [4, 3]);
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
    if (few && fate === DELIVERED) drawArrow(context, x1, y1, x2, y2);
    if (fate === DROPPED) drawCross(context, x2, y2);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawArrow(context, x1, y1, x2, y2) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  context.beginPath();
  context.moveTo(x2, y2);
  for (const side of [-0.4, 0.4])
    context.lineTo(x2 - 7 * Math.cos(angle + side), y2 - 7 * Math.sin(angle + side));
  context.fill();
}

function drawCross(context, x, y) {
  context.setLineDash([]);
  context.strokeStyle = palette.bad;
  context.lineWidth = 1.8;
  context.beginPath();
  context.moveTo(x - 3.5, y - 3.5);
  context.lineTo(x + 3.5, y + 3.5);
  context.moveTo(x + 3.5, y - 3.5);
  context.lineTo(x - 3.5, y + 3.5);
  context.stroke();
}

function nearest(lines, x, y) {
  let [found, least] = [null, NEAR_PX];
  for (const line of lines) {
    const far = distance(line, x, y);
    if (far < least) [found, least] = [line, far];
  }
  return found;
}

function distance({ x1, y1, x2, y2 }, x, y) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const part = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - x1 - part * dx, y - y1 - part * dy);
}

function explain({ history, types }, line) {
  if (!line) return null;
  const { packets, nodes } = history;
  const { place, fate } = line;
  const name = types.find((type) => type.what === packets.what[place]).name;
  const took = packets.ended[place] - packets.sent[place];
  const fates = [
    "nothing more is known of it",
    `arrived after ${duration(took)}`,
    `lost after ${duration(took)}`,
  ];
  return (
    `${name}, ${bytes(packets.size[place])}` +
    `\nfrom ${nodes[packets.from[place]].name} to ${nodes[packets.to[place]].name}` +
    `\nsent at ${seconds(packets.sent[place], 3)}, ${fates[fate]}`
  );
}

function makeKey(moment, { types }) {
  const items = types.map((type) => {
    const line = element("i");
    line.style.color = `var(--${type.colour})`;
    const button = element(
      "button",
      { type: "button", "aria-pressed": "true" },
      line,
      `${type.name} (${count(type.some)})`,
    );
    button.addEventListener("click", () => {
      type.shown = !type.shown;
      button.setAttribute("aria-pressed", String(type.shown));
      moment.redraw();
    });
    return element("li", {}, button);
  });
  return element(
    "ul",
    { class: "key", "aria-label": "Types of messages, to show or hide" },
    ...items,
  );
}
