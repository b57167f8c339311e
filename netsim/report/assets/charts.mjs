// Plain charts in SVG: axes, step curves, bars. They print sharply and need no canvas.

import { svg } from "./text.mjs";

const WIDTH = 420;
const HEIGHT = 175;
const INNER = { left: 52, right: WIDTH - 12, top: 10, bottom: HEIGHT - 34 };

// `x`, `y`: {least, most, whole, say, title}; `whole`: only whole numbers have a line. Gives {root, x(value), y(value)}.
export function axes({ label, x, y }) {
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const place = {
    x: (value) => INNER.left + part(x, value) * (INNER.right - INNER.left),
    y: (value) => INNER.bottom - part(y, value) * (INNER.bottom - INNER.top),
  };
  for (const value of rounds(y, 4)) {
    root.append(
      svg("line", {
        class: "grid",
        x1: INNER.left,
        x2: INNER.right,
        y1: place.y(value),
        y2: place.y(value),
      }),
      svg("text", { x: INNER.left - 6, y: place.y(value) + 4, "text-anchor": "end" }, y.say(value)),
    );
  }
  for (const value of rounds(x, 4)) {
    root.append(
      svg(
        "text",
        { x: place.x(value), y: INNER.bottom + 15, "text-anchor": "middle" },
        x.say(value),
      ),
    );
  }
  if (y.title) root.append(svg("text", { x: 0, y: 8 }, y.title));
  if (x.title) {
    root.append(
      svg(
        "text",
        { x: (INNER.left + INNER.right) / 2, y: HEIGHT - 3, "text-anchor": "middle" },
        x.title,
      ),
    );
  }
  return { root, ...place, inner: INNER };
}

function part({ least = 0, most }, value) {
  return most > least ? (value - least) / (most - least) : 0;
}

// Round values of an axis, `some` of them or about as many.
function rounds({ least = 0, most, whole = false }, some) {
  const rough = (most - least) / some || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const step = whole ? Math.max(1, Math.ceil(round)) : round;
  const values = [];
  for (let at = Math.ceil(least / step - 1e-9); at * step <= most * 1.0001; at += 1)
    values.push(at * step || 0);
  return values;
}

// A curve that keeps each value until the next point.
export function stepPath(chart, points, name) {
  const [[x, y], ...rest] = points;
  const steps = rest
    .map(([to, value]) => `H${chart.x(to).toFixed(1)}V${chart.y(value).toFixed(1)}`)
    .join("");
  return svg("path", {
    class: `curve ${name}`,
    d: `M${chart.x(x).toFixed(1)} ${chart.y(y).toFixed(1)}${steps}`,
  });
}

export function bar(chart, from, to, value, title) {
  const [x, y] = [chart.x(from), chart.y(value)];
  const width = Math.max(chart.x(to) - x - 1, 1);
  const drawn = { class: "bar", x, y, width, height: Math.max(chart.y(0) - y, 0) };
  return svg("rect", drawn, svg("title", {}, title));
}
