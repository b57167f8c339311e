// A drawing along the shared axis of time: sharp canvas, cursor line, pointer and wheel.

import { palette } from "./palette.mjs";
import { element, lowerBound } from "./text.mjs";
import { hideTip, showTip } from "./tip.mjs";

const NARROW = 560;
export const AXIS_HEIGHT = 22;
const RIGHT = 10;
const DRAG_PX = 4; // less is a click

class Scale {
  constructor(moment, width) {
    this.left = width < NARROW ? 62 : 118;
    this.right = width - RIGHT;
    this.from = moment.from;
    this.to = moment.to;
    this.perSecond = (this.right - this.left) / (moment.to - moment.from);
  }

  x(time) {
    return this.left + (time - this.from) * this.perSecond;
  }

  time(x) {
    return this.from + (x - this.left) / this.perSecond;
  }

  // Times that are round, with their label.
  ticks() {
    const step = niceStep(((this.to - this.from) * 75) / (this.right - this.left));
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const ticks = [];
    for (let place = Math.ceil(this.from / step); place * step <= this.to; place += 1) {
      ticks.push([place * step, `${(place * step).toFixed(digits)} s`]);
    }
    return ticks;
  }
}

export function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
}

// `height(width)` in pixels; `draw(context, scale, width, height)`; `explain(scale, x, y)`: text or
// null; `choose(scale, x, y)`: a click beside the cursor.
export class Plot {
  constructor(moment, { label, height, draw, explain, choose = () => {} }) {
    this.moment = moment;
    this.canvas = element("canvas", { role: "img", "aria-label": label, tabindex: "0" });
    this.line = element("div", { class: "line" });
    this.root = element("div", { class: "plot" }, this.canvas, this.line);
    Object.assign(this, { height, draw, explain, choose });
    moment.watch((changed) => this.#changed(changed));
    new ResizeObserver(() => this.redraw()).observe(this.root);
    listen(this);
  }

  scale() {
    return new Scale(this.moment, this.root.clientWidth);
  }

  redraw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const height = this.height(width);
    const context = sharpen(this.canvas, width, height);
    const scale = this.scale();
    drawAxis(context, scale, height);
    this.draw(context, scale, width, height);
    this.#place(scale);
  }

  #changed(changed) {
    if (["from", "to", "node", "drawing"].some((name) => changed.has(name))) this.redraw();
    else if (changed.has("at")) this.#place(this.scale());
  }

  #place(scale) {
    const x = scale.x(this.moment.at);
    this.line.hidden = x < scale.left - 1 || x > scale.right + 1;
    this.line.style.transform = `translateX(${x}px)`;
  }
}

export function sharpen(canvas, width, height) {
  const ratio = Math.max(devicePixelRatio || 1, 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = "12px system-ui, sans-serif";
  return context;
}

function drawAxis(context, scale, height) {
  context.fillStyle = palette.soft;
  context.strokeStyle = palette.line;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [time, label] of scale.ticks()) {
    const x = Math.round(scale.x(time)) + 0.5;
    context.beginPath();
    context.moveTo(x, AXIS_HEIGHT - 4);
    context.lineTo(x, height);
    context.stroke();
    if (x < scale.right - 12) context.fillText(label, x, 9);
  }
}

export function clipToTime(context, scale, height) {
  context.beginPath();
  context.rect(scale.left, 0, scale.right - scale.left, height);
  context.clip();
}

// The name of a node at the left of its row, cut to the room that there is.
export function drawName(context, scale, node, y, { chosen, small }) {
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.font = `${chosen ? "700 " : ""}${small ? 10 : 12}px system-ui, sans-serif`;
  context.fillStyle = node.honest ? palette.text : palette.byzantine;
  const name = scale.left < 100 ? `${node.number}` : node.name;
  const text = node.honest ? name : `◆ ${node.number} ${node.role}`;
  context.fillText(fit(context, text, scale.left - 8), 4, y);
}

function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  const cut = () => `${text.slice(0, length)}…`;
  while (length > 1 && context.measureText(cut()).width > width) length -= 1;
  return cut();
}

// The part of an ascending list of places of records that lies in a window of time.
export function within(places, at, from, to) {
  const valueOf = (place) => at[place];
  return [lowerBound(places, from, valueOf), lowerBound(places, to, valueOf)];
}

function listen(plot) {
  const { canvas, moment } = plot;
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { x: event.offsetX, from: moment.from, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const scale = plot.scale();
    if (!drag) return showTip(event, plot.explain(scale, event.offsetX, event.offsetY));
    const by = event.offsetX - drag.x;
    drag.moved ||= Math.abs(by) > DRAG_PX;
    if (drag.moved) moment.pan(drag.from - by / scale.perSecond - moment.from);
    return hideTip();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) click(plot, event);
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("dblclick", (event) => moment.zoom(3, plot.scale().time(event.offsetX)));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.shiftKey && !event.metaKey) return;
      event.preventDefault();
      const turned = event.deltaY || event.deltaX;
      moment.zoom(turned < 0 ? 1.25 : 0.8, plot.scale().time(event.offsetX));
    },
    { passive: false },
  );
}

function click(plot, event) {
  const scale = plot.scale();
  if (event.offsetX >= scale.left) plot.moment.seek(scale.time(event.offsetX), { follow: false });
  plot.choose(scale, event.offsetX, event.offsetY);
}
