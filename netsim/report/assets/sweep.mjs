// The report of a sweep: how many seeds are green, which fail, what occurred, and how long it took.

import { axes, bar, stepPath } from "./charts.mjs";
import { makeTable, VERDICTS } from "./table.mjs";
import {
  card,
  commandLine,
  count,
  duration,
  element,
  largest,
  longList,
  percent,
  plural,
  tile,
} from "./text.mjs";

const FAILING_MAX = 200; // the table has all of them
const BINS = 30;
const SAY = { messages: count, cpu: duration, calm: duration, virtual: duration };

function show() {
  const data = JSON.parse(document.getElementById("data").textContent);
  document
    .getElementById("main")
    .replaceChildren(
      makeHeader(data),
      ...makeFailures(data),
      makeTiles(data),
      makeEvents(data),
      ...makeCharts(data),
      makeTable(data),
    );
}

function makeHeader(data) {
  const { name, commit, driver, gaps, seedsMin } = data;
  const [kind, words] = verdictWords(data);
  const whence = [`commit ${commit || "unknown"}`, driver ? `${driver} driver` : ""];
  const reserves = [
    gaps &&
      `Between the first and the last, ${plural(gaps, "seed")} ${gaps === 1 ? "is" : "are"} not in ` +
        "these files. Which events are too rare is judged once they are.",
    seedsMin && `Fewer than ${plural(seedsMin, "seed")} do not judge which events are too rare.`,
  ];
  return element(
    "div",
    {},
    element(
      "header",
      {},
      element("h1", {}, `Sweep of ${name}`),
      element("span", { class: `pill ${kind}` }, words),
      element("span", { class: "soft" }, whence.filter(Boolean).join(" · ")),
    ),
    ...reserves.filter(Boolean).map((line) => element("p", { class: "note" }, line)),
  );
}

// As `netsim summary` judges.
function verdictWords({ verdict, rows, failed, events, gaps }) {
  const rare = events.filter((event) => event.rare).length;
  if (verdict === "green")
    return gaps
      ? ["warn", `green so far: ${plural(rows.length, "seed")}, others are missing`]
      : ["", `green: all of ${plural(rows.length, "seed")}`];
  if (failed.some)
    return ["bad", `red: ${count(failed.some)} of ${plural(failed.of, "seed")} failed`];
  return ["bad", `red: ${plural(rare, "listed event")} too rare`];
}

function makeFailures({ failures }) {
  if (!failures.length) return [];
  const items = failures
    .slice(0, FAILING_MAX)
    .map(({ verdict, seed, what, command }) =>
      element(
        "li",
        {},
        element("span", { class: `pill ${VERDICTS[verdict].pill}` }, VERDICTS[verdict].name),
        ` seed ${seed}: ${what}`,
        commandLine(command),
      ),
    );
  const note =
    failures.length > FAILING_MAX
      ? `the first ${FAILING_MAX} of ${count(failures.length)}; the table has all`
      : "each with the command that repeats it";
  const made = card("Failing seeds", note, longList({ class: "failing" }, items));
  made.style.margin = "1rem 0";
  return [made];
}

function makeTiles({ rows, failed }) {
  const sum = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const [forked, proven] = [sum("made"), sum("proven")];
  const tiles = [
    tile("seeds", count(rows.length)),
    tile(failed.some === 1 ? "seed failed" : "seeds failed", count(failed.some)),
    tile("of virtual time", duration(sum("virtual"))),
    tile("packets", count(sum("messages"))),
    tile("faults", count(sum("faults"))),
    forked
      ? tile("forked feeds proven to honest nodes", `${count(proven)} of ${count(forked)}`)
      : tile("feeds were forked", "0"),
    tile("of processor time", duration(sum("cpu"))),
  ];
  return element(
    "div",
    {},
    element("div", { class: "tiles" }, ...tiles),
    element("p", { class: "soft estimate" }, estimate(failed)),
  );
}

// What these seeds say of all others.
function estimate({ some, of, low, high }) {
  const between = some
    ? `between ${percent(low, 1)} and ${percent(high, 1)}`
    : `at most ${percent(high, high < 0.01 ? 2 : 1)}`;
  return (
    `${count(some)} of ${plural(of, "seed")} failed. Of all seeds that could be run, ` +
    `${between} would: an estimate that holds for 95 of 100 such sweeps (Wilson’s interval).`
  );
}

function makeEvents({ events, shareMin }) {
  const rows = events.filter(({ listed }) => listed).map((event) => shareRow(event, shareMin));
  const others = events.filter(({ listed }) => !listed).map((event) => shareRow(event, shareMin));
  if (others.length)
    rows.push(element("h3", { class: "soft" }, "Also seen, not listed by the scenario"), ...others);
  const made = card(
    "What occurred",
    `share of seeds in which each event occurred; red line: fewer than ${percent(shareMin)} are too few`,
    ...(rows.length ? rows : [element("p", { class: "soft" }, "No events are known.")]),
    element(
      "p",
      { class: "soft small" },
      "Wide bar: the share of these seeds. Thin bar and grey figures: where the share of all ",
      "seeds that could be run lies; right in 95 of 100 such sweeps (Wilson’s interval).",
    ),
  );
  made.style.marginBottom = ".75rem";
  return made;
}

function shareRow(event, shareMin) {
  const { name, listed, rare, some, of, low, high } = event;
  const fill = element("i");
  fill.style.width = `${(some / of) * 100}%`;
  const band = element("u");
  band.style.left = `${low * 100}%`;
  band.style.width = `${(high - low) * 100}%`;
  const line = element("s");
  line.style.left = `${shareMin * 100}%`;
  return element(
    "div",
    { class: rare ? "share rare" : "share" },
    element("span", { class: "name" }, name.replaceAll("_", " "), rare ? " – too rare" : ""),
    element("span", { class: "meter", "aria-hidden": "true" }, fill, band, listed ? line : ""),
    element(
      "span",
      { class: "figure" },
      `${percent(some / of, 1)} `,
      element("span", { class: "soft" }, `${(low * 100).toFixed(1)} to ${percent(high, 1)}`),
    ),
  );
}

function makeCharts({ rows, measures, detections }) {
  const charts = measures.map((measure) => makeHistogram(measure, rows));
  if (detections.p50.length) charts.unshift(makeDetections(detections));
  return charts.length ? [element("div", { class: "pair" }, ...charts)] : [];
}

function makeHistogram({ key, title, never, quantiles }, rows) {
  const note = spreadWords(SAY[key], quantiles, never, rows.length);
  const values = rows.map((row) => row[key]).filter((value) => value !== null);
  if (!values.length) return card(title, note);
  const most = largest(values, 1e-9) * 1.0001;
  const bins = new Array(BINS).fill(0);
  for (const value of values) bins[Math.floor((value / most) * BINS)] += 1;
  const say = SAY[key];
  const chart = axes({
    label: `Distribution of ${title} over the seeds`,
    x: { most, say, title },
    y: { most: largest(bins), say: count, whole: true, title: "seeds" },
  });
  bins.forEach((some, place) => {
    const [from, to] = [(place * most) / BINS, ((place + 1) * most) / BINS];
    if (some)
      chart.root.append(
        bar(chart, from, to, some, `${say(from)} to ${say(to)}: ${plural(some, "seed")}`),
      );
  });
  return card(title, note, chart.root);
}

// A quantile is null where what is measured never happened.
function spreadWords(say, { p50, p90, p99 }, never, all) {
  const parts = [
    ["half", p50],
    ["90 %", p90],
    ["99 %", p99],
  ]
    .filter(([, value]) => value !== null)
    .map(([share, value]) => `${share} up to ${say(value)}`);
  if (never) parts.push(`never in ${count(never)} of ${plural(all, "seed")}`);
  return parts.join(", ");
}

// How many seeds found their forks within a time: the p50 and the p99 of each.
function makeDetections({ p50, p99 }) {
  const most = largest(p99, largest(p50, 0.001)) * 1.02;
  const chart = axes({
    label: "Share of seeds whose forks were found within a time",
    x: { most, say: duration, title: "time from the fork to the evidence" },
    y: { most: 1, say: (share) => percent(share) },
  });
  chart.root.append(
    stepPath(chart, cumulated(p50, most), "first"),
    stepPath(chart, cumulated(p99, most), "second"),
  );
  return card(
    "How fast forks are found",
    `${plural(p50.length, "seed")} in which a forked feed was proven`,
    chart.root,
    element(
      "p",
      { class: "soft small" },
      "Share of seeds in which half of the nodes (p50, whole line) and 99 of 100 (p99, broken ",
      "line) had the evidence within that time.",
    ),
  );
}

function cumulated(ascending, most) {
  const steps = ascending.map((value, place) => [value, (place + 1) / ascending.length]);
  return [[0, 0], ...steps, [most, 1]];
}

try {
  show();
} catch (error) {
  document.getElementById("main").textContent = `This report cannot be shown: ${error.message}`;
  throw error;
}
