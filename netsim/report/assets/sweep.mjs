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
  percent,
  plural,
  tile,
} from "./text.mjs";

const FAILING_MAX = 50; // the table has all of them
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

function makeHeader({ name, rows, failed, events, shareMin, commits, drivers, foreign }) {
  const rare = events.filter((event) => isRare(event, shareMin)).length;
  const pill = failed.some
    ? ["bad", `red: ${count(failed.some)} of ${plural(failed.of, "seed")} failed`]
    : rare
      ? ["bad", `red: ${plural(rare, "listed event")} too rare`]
      : ["", `green: all of ${plural(rows.length, "seed")}`];
  const whence = [
    `commit ${commits.join(", ") || "unknown"}`,
    drivers.length ? `${drivers.join(", ")} driver` : "",
    foreign ? `${plural(foreign, "line")} left out: no results` : "",
  ];
  return element(
    "header",
    {},
    element("h1", {}, `Sweep of ${name}`),
    element("span", { class: `pill ${pill[0]}` }, pill[1]),
    element("span", { class: "soft" }, whence.filter(Boolean).join(" · ")),
  );
}

function makeFailures({ rows, failed }) {
  if (!failed.some) return [];
  const failing = rows.filter((row) => row.verdict !== "green");
  const items = failing
    .slice(0, FAILING_MAX)
    .map((row) =>
      element(
        "li",
        {},
        element(
          "span",
          { class: `pill ${VERDICTS[row.verdict].pill}` },
          VERDICTS[row.verdict].name,
        ),
        ` seed ${row.seed}: ${row.what}`,
        commandLine(row.command),
      ),
    );
  const note =
    failing.length > FAILING_MAX
      ? `the first ${FAILING_MAX} of ${count(failing.length)}; the table has all`
      : "each with the command that repeats it";
  const made = card("Failing seeds", note, element("ul", { class: "failing" }, ...items));
  made.style.margin = "1rem 0";
  return [made];
}

function makeTiles({ rows, failed }) {
  const sum = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const tiles = [
    tile("seeds", count(rows.length)),
    tile("virtual time", duration(sum("virtual"))),
    tile("packets", count(sum("messages"))),
    tile("faults", count(sum("faults"))),
    tile("forks made, found", `${count(sum("made"))}, ${count(sum("proven"))}`),
    tile("processor time", duration(sum("cpu"))),
    tile(
      `failed; all seeds: ${percent(failed.low, 2)} to ${percent(failed.high, 2)}`,
      percent(failed.some / failed.of, 2),
    ),
  ];
  return element("div", { class: "tiles" }, ...tiles);
}

const isRare = ({ listed, some, of }, shareMin) => listed && some < shareMin * of;

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
      "The narrow band holds the share over all possible seeds in 95 of 100 sweeps (Wilson).",
    ),
  );
  made.style.marginBottom = ".75rem";
  return made;
}

function shareRow(event, shareMin) {
  const { name, listed, some, of, low, high } = event;
  const fill = element("i");
  fill.style.width = `${(some / of) * 100}%`;
  const band = element("u");
  band.style.left = `${low * 100}%`;
  band.style.width = `${(high - low) * 100}%`;
  const line = element("s");
  line.style.left = `${shareMin * 100}%`;
  const rare = isRare(event, shareMin);
  const figure = `${percent(some / of, 1)} (${percent(low, 1)}–${percent(high, 1)})`;
  return element(
    "div",
    { class: rare ? "share rare" : "share" },
    element("span", { class: "name" }, name.replaceAll("_", " "), rare ? " – too rare" : ""),
    element("span", { class: "meter", "aria-hidden": "true" }, fill, band, listed ? line : ""),
    element("span", { class: "figure" }, figure),
  );
}

function makeCharts({ rows, measures, detections }) {
  const charts = measures.map((measure) => makeHistogram(measure, rows));
  if (detections.p50.length) charts.unshift(makeDetections(detections));
  return charts.length ? [element("div", { class: "pair" }, ...charts)] : [];
}

function makeHistogram({ key, title, quantiles }, rows) {
  const values = rows.map((row) => row[key]).filter((value) => value !== null);
  const most = largest(values, 1e-9) * 1.0001;
  const bins = new Array(BINS).fill(0);
  for (const value of values) bins[Math.floor((value / most) * BINS)] += 1;
  const say = SAY[key];
  const chart = axes({
    label: `Distribution of ${title} over the seeds`,
    x: { most, say, title },
    y: { most: largest(bins), say: count },
  });
  bins.forEach((some, place) => {
    const [from, to] = [(place * most) / BINS, ((place + 1) * most) / BINS];
    if (some)
      chart.root.append(
        bar(chart, from, to, some, `${say(from)} to ${say(to)}: ${plural(some, "seed")}`),
      );
  });
  const [p50, p90, p99] = ["p50", "p90", "p99"].map((part) => say(quantiles[part]));
  const note = `half up to ${p50}, 90 % up to ${p90}, 99 % up to ${p99}`;
  return card(title, note, chart.root);
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
    `${plural(p50.length, "seed")} with forks`,
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
