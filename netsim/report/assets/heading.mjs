// What came out, on top of the page: verdict, how to repeat it, what went wrong, figures.

import { bringLanesIntoView } from "./lanes.mjs";
import {
  bytes,
  commandLine,
  count,
  duration,
  element,
  longList,
  plural,
  seconds,
  tile,
} from "./text.mjs";

const TIMES_MAX = 12; // of one broken rule

export function makeSummary(moment, story) {
  return [makeHeader(story), ...troubles(moment, story), makeTiles(story), makeHelp(story)];
}

function makeHeader({ data }) {
  const [kind, words] = verdict(data.result);
  const whence = [
    `seed ${data.seed}`,
    `commit ${data.commit || "unknown"}`,
    data.driver ? `${data.driver} driver` : "",
  ];
  return element(
    "div",
    {},
    element(
      "header",
      {},
      element("h1", {}, data.scenario),
      element("span", { class: `pill ${kind}` }, words),
      element("span", { class: "soft" }, whence.filter(Boolean).join(" · ")),
    ),
    commandLine(data.command),
  );
}

// The colour and the words of it.
function verdict({ safety, liveness, violations, stalled, missing }) {
  if (safety === "violated" || violations.length) return ["bad", `red: ${brokenWords(violations)}`];
  if (liveness === "stalled" || stalled.length)
    return ["bad", "red: it did not come right after the faults"];
  if (missing.length) return ["bad", "red: an expected event never happened"];
  return safety === "ok"
    ? ["", "green: all rules held and everything came right"]
    : ["quiet", "verdict unknown"];
}

function brokenWords(violations) {
  const rules = new Set(violations.map(({ check }) => check)).size;
  const times = violations.length > rules ? `, ${plural(violations.length, "time")}` : "";
  return `${plural(rules, "rule")} broken${times}`;
}

function troubles(moment, { data, history }) {
  const { violations, stalled, missing } = data.result;
  const parts = [];
  if (violations.length)
    parts.push(
      alert(
        brokenWords(violations),
        grouped(violations).map((each) => violationRow(moment, history, each)),
      ),
    );
  if (stalled.length)
    parts.push(
      alert(
        "Not as it should be at the end",
        stalled.map((line) => [line]),
      ),
    );
  if (missing.length)
    parts.push(
      alert(
        "Expected, but never happened: this run proves too little",
        missing.map((name) => [name]),
      ),
    );
  return parts;
}

function alert(title, rows) {
  return element(
    "section",
    { class: "alert", "aria-label": title },
    element("strong", {}, title),
    longList(
      {},
      rows.map((row) => element("li", {}, ...row)),
    ),
  );
}

// The same about the same node stands once, with all of its times; a sentence of the spec, once.
function grouped(violations) {
  const groups = new Map();
  for (const each of violations) {
    const key = JSON.stringify([each.node, each.check, each.spec, each.what]);
    if (!groups.has(key)) groups.set(key, { ...each, times: [] });
    groups.get(key).times.push(each.at);
  }
  const told = new Set();
  return [...groups.values()].map((each) => {
    const spec = told.has(each.spec) ? "" : each.spec;
    told.add(each.spec);
    return { ...each, spec };
  });
}

function violationRow(moment, history, { times, node, check, spec, what }) {
  const jumps = times.slice(0, TIMES_MAX).map((at) =>
    element(
      "button",
      {
        type: "button",
        title: "Move the cursor there, and show it",
        onclick: () => jump(moment, at, history.placeOf(node)),
      },
      seconds(at),
    ),
  );
  const more =
    times.length > TIMES_MAX ? ` and ${plural(times.length - TIMES_MAX, "more time")}` : "";
  const where = node === null ? "" : `node ${node}: `;
  return [
    ...jumps,
    more,
    ` ${where}“${check}” does not hold: ${what}`,
    spec ? element("div", { class: "soft" }, spec) : "",
  ];
}

function jump(moment, at, place) {
  moment.seek(at);
  moment.set({ node: place < 0 ? null : place });
  bringLanesIntoView();
}

function makeTiles({ data, history, convergence }) {
  const byzantine = history.nodes.filter((node) => !node.honest).length;
  const { result } = data;
  const healed = history.healedAt;
  const proven = convergence.forks.length; // feeds, of which an honest node holds evidence
  const forked = Math.max(result.forksMade ?? 0, proven);
  const nodes = byzantine
    ? `${history.nodes.length - byzantine} + ${byzantine}`
    : count(history.nodes.length);
  const tiles = [
    tile(byzantine ? "honest + byzantine nodes" : "honest nodes", nodes),
    tile("of virtual time", duration(history.end)),
    tile(data.plan.faults.length === 1 ? "fault" : "faults", count(data.plan.faults.length)),
    tile("messages published", count(convergence.published)),
    tile(`packets, ${bytes(result.bytes)}`, count(result.messages ?? history.packets.length)),
    forked
      ? tile("forked feeds proven to honest nodes", `${count(proven)} of ${count(forked)}`)
      : tile("feeds were forked", "0"),
  ];
  if (healed !== null) {
    const never = result.liveness === "stalled" || result.stalled.length > 0;
    const took = duration(history.end - healed);
    tiles.push(
      never
        ? tile(`calm, in ${took} after the end of faults`, "never")
        : tile("from the end of faults to calm", took),
    );
  }
  if (result.cpu !== null) tiles.push(tile("of processor time", duration(result.cpu)));
  return element("div", { class: "tiles" }, ...tiles);
}

function makeHelp({ data }) {
  const keys = [
    "Space plays and pauses. Left and right move the cursor, with Shift further.",
    "Home and End go to the ends.",
    "Comma and full stop jump to the listed event before and after.",
    "Plus and minus zoom, 0 shows the whole run.",
    "Drag a drawing sideways to move in time; a double click zooms in.",
    "Shift or Ctrl with the wheel zooms at the pointer.",
    "A click in a drawing moves the cursor and chooses the node.",
    "The address of this page then leads to that moment.",
  ];
  const hash = data.result.traceSha256 || "unknown";
  const about = `${count(data.records)} records; SHA-256 of the trace ${hash}.`;
  return element(
    "details",
    { class: "screen-only" },
    element("summary", {}, "How to read this, and keys"),
    element(
      "p",
      { class: "soft" },
      "A run is a whole network in one program with virtual time: a plan says who is there, ",
      "what people ask of whom, and what goes wrong. First come faults; when the last is over, ",
      "everything has to come right. All drawings share the cursor and the window of time.",
    ),
    element("ul", { class: "soft" }, ...keys.map((line) => element("li", {}, line))),
    element("p", { class: "soft" }, about),
  );
}
