// The whole run in a strip: how much happens, faults, violations; the shown window can be dragged.

import { merged } from "./curves.mjs";
import { FAULT_GROUPS, palette, shadeFault } from "./palette.mjs";
import { sharpen } from "./plot.mjs";
import { element, largest } from "./text.mjs";

const BIN_PX = 3;

export function makeOverview(moment, story) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const root = element(
    "div",
    {
      class: "overview",
      title: "The whole run. Drag to choose what is shown; double-click shows all.",
    },
    canvas,
  );
  const strip = document.createElement("canvas"); // what does not move with the cursor
  const draw = () => drawOverview(canvas, strip, moment);
  const renew = () => {
    drawStrip(strip, root, moment, story);
    draw();
  };
  moment.watch((changed) => (changed.has("drawing") ? renew() : draw()));
  new ResizeObserver(renew).observe(root);
  listen(root, moment);
  return root;
}

function drawOverview(canvas, strip, moment) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !strip.width) return;
  const context = sharpen(canvas, width, height);
  context.drawImage(strip, 0, 0, width, height);
  drawWindow(context, moment, (time) => (time / moment.end) * width, width, height);
}

function drawStrip(strip, root, moment, { history, data }) {
  const [width, height] = [root.clientWidth, root.clientHeight];
  if (!width) return;
  const context = sharpen(strip, width, height);
  const x = (time) => (time / moment.end) * width;
  context.fillStyle = palette.card;
  context.fillRect(0, 0, width, height);
  const tall = height / FAULT_GROUPS.length;
  FAULT_GROUPS.forEach((group, row) => {
    for (const [from, to] of merged(history.faults.filter((fault) => fault.group === group))) {
      shadeFault(context, group, x(from), row * tall, Math.max(x(to) - x(from), 1.5), tall);
    }
  });
  drawActivity(context, history, moment.end, width, height);
  context.fillStyle = palette.bad;
  for (const { at } of data.result.violations) context.fillRect(x(at) - 1, 0, 2.5, height);
}

function drawActivity(context, { records }, end, width, height) {
  const bins = new Float64Array(Math.ceil(width / BIN_PX) + 1);
  for (const at of records.at) bins[Math.floor(((at / end) * width) / BIN_PX)] += 1;
  const most = largest(bins.map(Math.sqrt), 1);
  context.fillStyle = palette.soft;
  context.globalAlpha = 0.55;
  bins.forEach((some, place) => {
    const tall = (Math.sqrt(some) / most) * (height - 3);
    context.fillRect(place * BIN_PX, height - tall, BIN_PX - 0.6, tall);
  });
  context.globalAlpha = 1;
}

function drawWindow(context, moment, x, width, height) {
  const [left, right] = [x(moment.from), Math.max(x(moment.to), x(moment.from) + 2)];
  context.fillStyle = palette.page;
  context.globalAlpha = 0.65;
  context.fillRect(0, 0, left, height);
  context.fillRect(right, 0, width - right, height);
  context.globalAlpha = 1;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 1), height - 1.5);
  context.fillStyle = palette.cursor;
  context.fillRect(x(moment.at) - 0.75, 0, 1.5, height);
}

function listen(root, moment) {
  let drag = null;
  root.addEventListener("pointerdown", (event) => {
    const time = (event.offsetX / root.clientWidth) * moment.end;
    const inside =
      time >= moment.from && time <= moment.to && moment.to - moment.from < moment.end * 0.99;
    drag = { time, inside, from: moment.from, to: moment.to };
    root.setPointerCapture(event.pointerId);
  });
  root.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const x = event.clientX - root.getBoundingClientRect().left;
    const time = Math.min(Math.max((x / root.clientWidth) * moment.end, 0), moment.end);
    if (drag.inside) moment.pan(drag.from + time - drag.time - moment.from);
    else if (Math.abs(time - drag.time) > moment.end * 0.004) {
      moment.window(Math.min(time, drag.time), Math.max(time, drag.time));
    }
  });
  root.addEventListener("pointerup", () => {
    if (drag && drag.from === moment.from && drag.to === moment.to) moment.seek(drag.time);
    drag = null;
  });
  root.addEventListener("dblclick", () => moment.window(0, moment.end));
}
