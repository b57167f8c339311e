// The colours of the style sheet for canvases, the hatching of faults, and the shapes of marks.

import { GROUP_WORDS } from "./faults.mjs";

const NAMES = [
  "page",
  "card",
  "line",
  "text",
  "soft",
  "faint",
  "bad",
  "accent",
  "cursor",
  "honest",
  "byzantine",
  "byzantine-back",
  "down",
  "gone",
  "separation",
  "weak",
  "disk",
  "clocks",
  "outage",
  "restart",
  "publish",
  "append",
  "refused",
  "fork",
  "blob",
  "misdeed",
  "type-0",
  "type-1",
  "type-2",
  "type-3",
  "type-4",
  "type-5",
  "type-6",
  "type-7",
];

export const palette = {};
const hatchings = new Map();

export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) palette[name] = style.getPropertyValue(`--${name}`).trim();
  hatchings.clear();
}

// Calls back when the scheme changes, and around printing, which is always on white.
export function watchPalette(changed) {
  const renew = () => {
    readPalette();
    changed();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renew);
  const paper = (on) => () => {
    document.documentElement.classList.toggle("paper", on);
    renew();
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
}

export function shadeFault(context, group, x, y, width, height) {
  context.save();
  context.globalAlpha = 0.16;
  context.fillStyle = palette[group];
  context.fillRect(x, y, width, height);
  context.globalAlpha = 0.45;
  context.fillStyle = hatching(context, group);
  context.fillRect(x, y, width, height);
  context.restore();
}

// A pattern of lines or dots for each group, so that they differ without colour, too.
function hatching(context, group) {
  if (!hatchings.has(group)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const inner = tile.getContext("2d");
    inner.strokeStyle = inner.fillStyle = palette[group];
    (HATCH[group] ?? HATCH.outage)(inner);
    hatchings.set(group, tile);
  }
  return context.createPattern(hatchings.get(group), "repeat");
}

const HATCH = {
  separation: (c) =>
    strokes(c, [
      [-2, 10, 10, -2],
      [-2, 2, 2, -2],
      [6, 10, 10, 6],
    ]),
  disk: (c) =>
    strokes(c, [
      [-2, -2, 10, 10],
      [6, -2, 10, 2],
      [-2, 6, 2, 10],
    ]),
  clocks: (c) => strokes(c, [[0, 4, 8, 4]]),
  weak: (c) => c.fillRect(3, 3, 2, 2),
  outage: (c) => strokes(c, [[4, 0, 4, 8]]),
  restart: (c) => c.strokeRect(2.5, 2.5, 3, 3),
};

function strokes(context, lines) {
  for (const [x1, y1, x2, y2] of lines) {
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }
}

// Shapes by name, each about `r` around (0, 0).
const SHAPES = {
  publish: (c, r) => c.arc(0, 0, r * 0.75, 0, 7),
  append: (c, r) => c.rect(-0.6, -r, 1.2, r * 2),
  refused: (c, r) => cross(c, r * 0.7),
  fork: (c, r) => c.arc(0, 0, r * 0.9, 0, 7),
  blob: (c, r) => c.rect(-r * 0.7, -r * 0.7, r * 1.4, r * 1.4),
  misdeed: (c, r) =>
    polygon(c, [
      [0, -r * 1.1],
      [r * 1.1, 0],
      [0, r * 1.1],
      [-r * 1.1, 0],
    ]),
  crash: (c, r) =>
    polygon(c, [
      [-r, -r * 0.8],
      [r, -r * 0.8],
      [0, r],
    ]),
  start: (c, r) =>
    polygon(c, [
      [-r * 0.7, -r],
      [r, 0],
      [-r * 0.7, r],
    ]),
  stop: (c, r) => c.rect(-r * 0.6, -r * 0.6, r * 1.2, r * 1.2),
  disk: (c, r) =>
    polygon(c, [
      [r * 0.7, -r],
      [-r, 0],
      [r * 0.7, r],
    ]),
  violation: (c, r) => polygon(c, star(r * 1.5)),
  evidence: (c, r) => c.arc(0, 0, r, 0, 7),
  asked: (c, r) => c.arc(0, 0, r * 0.4, 0, 7),
  link: (c, r) => c.rect(-0.5, -r * 0.7, 1, r * 1.4),
  fault: (c, r) => c.rect(-r, -r, r * 2, r * 2),
  other: (c, r) => c.arc(0, 0, r * 0.35, 0, 7),
};

const COLOURS = {
  evidence: "fork",
  publish: "publish",
  append: "append",
  refused: "refused",
  fork: "fork",
  blob: "blob",
  misdeed: "misdeed",
  crash: "text",
  stop: "text",
  start: "honest",
  disk: "disk",
  violation: "bad",
  asked: "soft",
  link: "soft",
  fault: "separation",
  other: "soft",
};
const OUTLINED = new Set(["fork", "refused"]);

export function drawMark(context, mark, x, y, r = 4.5) {
  const colour = palette[COLOURS[mark]];
  context.save();
  context.translate(x, y);
  context.beginPath();
  SHAPES[mark](context, r);
  if (OUTLINED.has(mark)) {
    context.lineWidth = 2.2;
    context.strokeStyle = colour;
    context.stroke();
  } else {
    context.lineWidth = 1;
    context.strokeStyle = palette.card;
    context.fillStyle = colour;
    context.fill();
    if (r > 3 && mark !== "append" && mark !== "link") context.stroke();
  }
  context.restore();
}

// A small picture for a key.
export function sample(draw, width = 16, height = 14) {
  const canvas = document.createElement("canvas");
  const scale = 2;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.setAttribute("aria-hidden", "true");
  canvas.redraw = () => {
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, width, height);
  };
  canvas.redraw();
  return canvas;
}

export const FAULT_GROUPS = Object.keys(GROUP_WORDS);

function cross(context, r) {
  context.moveTo(-r, -r);
  context.lineTo(r, r);
  context.moveTo(r, -r);
  context.lineTo(-r, r);
}

function polygon(context, points) {
  points.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

function star(r) {
  return Array.from({ length: 10 }, (_, place) => {
    const [angle, far] = [(place * Math.PI) / 5 - Math.PI / 2, place % 2 ? r * 0.45 : r];
    return [Math.cos(angle) * far, Math.sin(angle) * far];
  });
}
