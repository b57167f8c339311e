// Play, seek, zoom and choose a node: with buttons, with keys, and by the address of the page.

import { makeOverview } from "./overview.mjs";
import { element, lowerBound, seconds } from "./text.mjs";

const SPEEDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];
const WHOLE_RUN_S = 40; // how long playing takes at the speed that is set at first
const SLIDER_STEPS = 10000;

export function makeControls(moment, story) {
  moment.speed = SPEEDS.find((speed) => speed >= moment.end / WHOLE_RUN_S) ?? SPEEDS.at(-1);
  const jump = makeJump(moment, story);
  const buttons = element(
    "div",
    { class: "buttons" },
    button("◂", "Previous event (,)", () => jump(-1)),
    playButton(moment),
    button("▸", "Next event (.)", () => jump(1)),
    speedChoice(moment),
    nodeChoice(moment, story),
  );
  const zoom = element(
    "div",
    { class: "buttons" },
    button("−", "Show more time (-)", () => moment.zoom(0.5)),
    button("+", "Show less time (+)", () => moment.zoom(2)),
    button("All", "Show the whole run (0)", () => moment.window(0, moment.end)),
    timeShown(moment),
  );
  buttons.append(element("span", { class: "gap" }), zoom);
  listenToKeys(moment, jump);
  listenToAddress(moment, story.history);
  return element(
    "div",
    { class: "controls screen-only", role: "toolbar", "aria-label": "Time" },
    buttons,
    makeOverview(moment, story),
    slider(moment),
  );
}

function button(text, title, act) {
  return element("button", { type: "button", title, "aria-label": title, onclick: act }, text);
}

function playButton(moment) {
  const made = element(
    "button",
    { type: "button", class: "play", title: "Play or pause (space)", onclick: () => play(moment) },
    "▶ Play",
  );
  moment.watch((changed) => {
    if (changed.has("playing")) made.textContent = moment.playing ? "❚❚ Pause" : "▶ Play";
  });
  return made;
}

function play(moment) {
  if (moment.playing) return moment.set({ playing: false });
  if (moment.at >= moment.end) moment.seek(0);
  moment.set({ playing: true });
  let before = performance.now();
  const step = (now) => {
    if (!moment.playing) return;
    moment.seek(moment.at + Math.min((now - before) / 1000, 0.1) * moment.speed);
    before = now;
    if (moment.at >= moment.end) moment.set({ playing: false });
    else requestAnimationFrame(step);
  };
  return requestAnimationFrame(step);
}

function speedChoice(moment) {
  const options = SPEEDS.map((speed) =>
    element("option", { value: speed, selected: speed === moment.speed }, `${speed}×`),
  );
  const select = element("select", { title: "Seconds of the run in a second" }, ...options);
  select.addEventListener("change", () => moment.set({ speed: Number(select.value) }));
  return element("label", {}, element("span", { class: "wide" }, "Speed"), select);
}

function nodeChoice(moment, { history }) {
  const name = (node) => (node.honest ? node.name : `${node.name} (${node.role})`);
  const options = history.nodes.map((node, place) =>
    element("option", { value: place }, name(node)),
  );
  const select = element(
    "select",
    { title: "The node that views and the list single out" },
    element("option", { value: "" }, "all nodes"),
    ...options,
  );
  select.addEventListener("change", () =>
    moment.set({ node: select.value === "" ? null : Number(select.value) }),
  );
  moment.watch((changed) => {
    if (changed.has("node")) select.value = moment.node ?? "";
  });
  return element("label", {}, element("span", { class: "wide" }, "Show"), select);
}

function timeShown(moment) {
  const made = element("output", { class: "time" }, seconds(moment.at));
  moment.watch((changed) => {
    if (changed.has("at")) made.textContent = seconds(moment.at);
  });
  return made;
}

function slider(moment) {
  const made = element("input", {
    type: "range",
    class: "seek",
    min: 0,
    max: SLIDER_STEPS,
    step: 1,
    value: 0,
    "aria-label": "Moment of the run",
  });
  made.addEventListener("input", () => moment.seek((made.value / SLIDER_STEPS) * moment.end));
  moment.watch((changed) => {
    if (!changed.has("at")) return;
    made.value = Math.round((moment.at / moment.end) * SLIDER_STEPS);
    made.setAttribute("aria-valuetext", seconds(moment.at));
  });
  return made;
}

// To the listed event before or after the cursor.
function makeJump(moment, { history, happenings }) {
  return (by) => {
    const { at } = history.records;
    const events = happenings.events;
    const place =
      by > 0
        ? lowerBound(events, moment.at + 1e-6, (i) => at[i])
        : lowerBound(events, moment.at - 1e-6, (i) => at[i]) - 1;
    if (events[place] !== undefined) moment.seek(at[events[place]]);
  };
}

function listenToKeys(moment, jump) {
  const width = () => moment.to - moment.from;
  const keys = {
    " ": () => play(moment),
    ArrowLeft: (event) => moment.seek(moment.at - width() * (event.shiftKey ? 0.1 : 0.01)),
    ArrowRight: (event) => moment.seek(moment.at + width() * (event.shiftKey ? 0.1 : 0.01)),
    Home: () => moment.seek(0),
    End: () => moment.seek(moment.end),
    "+": () => moment.zoom(2),
    "=": () => moment.zoom(2),
    "-": () => moment.zoom(0.5),
    0: () => moment.window(0, moment.end),
    ",": () => jump(-1),
    ".": () => jump(1),
  };
  addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("button, select, input, summary, .happened")) return;
    event.preventDefault();
    act(event);
  });
}

// #t=12.5&from=10&to=15&node=3: a link to a moment.
function listenToAddress(moment, history) {
  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    const number = (name) =>
      asked.has(name) && Number.isFinite(Number(asked.get(name))) ? Number(asked.get(name)) : null;
    const [t, from, to, node] = ["t", "from", "to", "node"].map(number);
    if (from !== null && to !== null && to > from) moment.window(from, to);
    if (t !== null) moment.seek(t);
    if (node !== null && history.placeOf(node) >= 0) moment.set({ node: history.placeOf(node) });
  };
  let later = 0;
  moment.watch((changed) => {
    if (!["at", "from", "to", "node"].some((name) => changed.has(name))) return;
    clearTimeout(later);
    later = setTimeout(
      () => globalThis.history.replaceState(null, "", address(moment, history)),
      400,
    );
  });
  addEventListener("hashchange", read);
  read();
}

function address(moment, history) {
  const parts = { t: moment.at.toFixed(3) };
  if (moment.to - moment.from < moment.end)
    Object.assign(parts, { from: moment.from.toFixed(3), to: moment.to.toFixed(3) });
  if (moment.node !== null) parts.node = history.nodes[moment.node].number;
  return `#${new URLSearchParams(parts)}`;
}
