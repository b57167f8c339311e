// Elements, and numbers as people read them. What files say only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, properties = {}, ...children) {
  return finish(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return finish(document.createElementNS(SVG, tag), properties, children);
}

function finish(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function card(title, note, ...children) {
  const heading = element("h2", {}, title);
  return element(
    "section",
    { class: "card", "aria-label": title },
    element("div", { class: "head" }, heading, element("span", { class: "soft small" }, note)),
    element("div", { class: "body" }, ...children),
  );
}

export function tile(label, value) {
  return element("div", { class: "tile" }, element("b", {}, value), element("span", {}, label));
}

// A list of which the first few are seen, and the others on demand.
export function longList(properties, items, most = 5) {
  const list = (some) => element("ul", properties, ...some);
  if (items.length <= most + 1) return list(items);
  const words = `Show all ${count(items.length)}`;
  const more = element("summary", {}, words);
  const rest = element("details", { class: "rest" }, more, list(items.slice(most)));
  rest.addEventListener("toggle", () => {
    more.textContent = rest.open ? `Show the first ${most} only` : words;
  });
  return element("div", {}, list(items.slice(0, most)), rest);
}

export const count = (number) => (number === null ? "unknown" : number.toLocaleString("en"));

export const plural = (number, one, many = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  if (number === null) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (number >= 1024 && place < units.length - 1) {
    number /= 1024;
    place += 1;
  }
  return `${place && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[place]}`;
}

export const seconds = (time, digits = 2) => `${time.toFixed(digits)} s`;

export function duration(time) {
  if (time === null) return "unknown";
  if (time === 0) return "0 s";
  if (time < 0.001) return `${(time * 1e6).toFixed(0)} µs`;
  if (time < 1) return `${(time * 1000).toFixed(time < 0.01 ? 1 : 0)} ms`;
  if (time < 120) return `${Number(time.toFixed(time < 10 ? 2 : 1))} s`;
  const minutes = Math.floor(time / 60);
  if (minutes >= 10 && minutes < 120) return `${minutes} min`;
  if (minutes < 10) return `${minutes} min ${Math.floor(time % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)} %`;

// Of any number of values, which the arguments of Math.max are not.
export const largest = (values, least = 0) =>
  values.reduce((most, value) => Math.max(most, value), least);

// 1, 2, 3, 7 becomes "1–3, 7".
export function ranges(numbers) {
  const parts = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else if (!last || number !== last[1]) parts.push([number, number]);
  }
  return parts.map(([low, high]) => (low === high ? `${low}` : `${low}–${high}`)).join(", ");
}

// The first place of an ascending list whose value is not below `value`.
export function lowerBound(list, value, valueOf = (each) => each) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueOf(list[middle]) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The value that a list of [time, value] steps has at a time.
export function stepAt(steps, time, before) {
  const place = lowerBound(steps, time, ([at]) => at);
  if (place < steps.length && steps[place][0] === time) return lastOfMoment(steps, place);
  return place ? steps[place - 1][1] : before;
}

function lastOfMoment(steps, place) {
  while (place + 1 < steps.length && steps[place + 1][0] === steps[place][0]) place += 1;
  return steps[place][1];
}

export function commandLine(command) {
  const button = element("button", { class: "screen-only", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it by hand";
    }
  });
  // Lines break between words, not at the hyphens of an option.
  const words = command
    .split(" ")
    .flatMap((word) => [" ", word.length < 24 ? element("span", {}, word) : word]);
  return element("div", { class: "command" }, element("code", {}, ...words.slice(1)), button);
}
