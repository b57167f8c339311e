// The table of all seeds: sorted by any column, filtered by text and verdict.

import { bytes, card, count, duration, element, plural } from "./text.mjs";

const ROWS_MAX = 300; // at a time: a page of thousands of rows is slow

export const VERDICTS = {
  green: { name: "green", pill: "" },
  missing: { name: "proves too little", pill: "warn" },
  liveness: { name: "did not come right", pill: "bad" },
  safety: { name: "rule broken", pill: "bad" },
};

const ORDER = Object.keys(VERDICTS);
const unknown = (say) => (value) => (value === null ? "–" : say(value));

// `sort`: the value by which rows are ordered, if it is not that of the cell.
const COLUMNS = [
  { key: "seed", title: "seed", sort: (row) => Number(row.seed) },
  {
    key: "verdict",
    title: "verdict",
    text: true,
    sort: (row) => -ORDER.indexOf(row.verdict),
    cell: verdictPill,
  },
  { key: "what", title: "what went wrong", text: true, wide: true },
  { key: "nodes", title: "nodes", say: count },
  { key: "kinds", title: "kinds of fault", say: count },
  { key: "made", title: "forked feeds", say: count },
  { key: "proven", title: "proven", say: count },
  { key: "p50", title: "found p50", say: duration },
  { key: "p99", title: "found p99", say: duration },
  {
    key: "calm",
    title: "to calm",
    sort: (row) => (row.never ? Infinity : row.calm),
    cell: (row) => (row.never ? "never" : unknown(duration)(row.calm)),
  },
  { key: "virtual", title: "virtual", say: duration },
  { key: "messages", title: "packets", say: count },
  { key: "bytes", title: "bytes", say: bytes },
  { key: "cpu", title: "CPU", say: duration },
];

export function makeTable({ rows }) {
  const columns = COLUMNS.filter(({ key }) =>
    rows.some((row) => (row[key] !== null && row[key] !== "") || (key === "calm" && row.never)),
  );
  const state = {
    rows,
    columns,
    by: columns.find(({ key }) => key === "seed"),
    up: true,
    most: ROWS_MAX,
  };
  const search = element("input", {
    type: "search",
    placeholder: "Filter: seed or words",
    "aria-label": "Filter by seed or words",
  });
  const verdict = element(
    "select",
    { "aria-label": "Filter by verdict" },
    element("option", { value: "" }, "all verdicts"),
    ...ORDER.map((name) => element("option", { value: name }, VERDICTS[name].name)),
  );
  const body = element("tbody");
  const shown = element("span", { class: "soft", role: "status" });
  const more = element("button", { type: "button" }, "Show more");
  const head = element("tr");
  const draw = () => drawRows(state, { search, verdict, body, shown, more });
  head.append(...columns.map((column) => heading(column, state, head, draw)));
  for (const input of [search, verdict]) input.addEventListener("input", draw);
  more.addEventListener("click", () => {
    state.most += ROWS_MAX;
    draw();
  });
  draw();
  return card(
    "All seeds",
    "a click on a heading sorts",
    element("div", { class: "filters screen-only" }, search, verdict, shown),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of seeds" },
      element("table", {}, element("thead", {}, head), body),
    ),
    more,
  );
}

function heading(column, state, head, draw) {
  const button = element("button", { type: "button" }, column.title);
  const cell = element(
    "th",
    {
      scope: "col",
      class: column.text ? "text" : "",
      "aria-sort": state.by === column ? "ascending" : "none",
    },
    button,
  );
  const label = () => {
    const sorted = cell.getAttribute("aria-sort");
    button.textContent = column.title + { ascending: " ▴", descending: " ▾", none: "" }[sorted];
  };
  cell.addEventListener("sorted", label);
  label();
  button.addEventListener("click", () => {
    state.up = state.by === column ? !state.up : Boolean(column.text || column.key === "seed");
    state.by = column;
    for (const each of head.children) {
      each.setAttribute(
        "aria-sort",
        each === cell ? (state.up ? "ascending" : "descending") : "none",
      );
      each.dispatchEvent(new Event("sorted"));
    }
    draw();
  });
  return cell;
}

function drawRows(state, { search, verdict, body, shown, more }) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = state.rows.filter((row) => {
    const text =
      `${row.seed} ${row.what} ${VERDICTS[row.verdict].name}`.toLowerCase();
    return (
      (verdict.value === "" || row.verdict === verdict.value) &&
      words.every((word) => text.includes(word))
    );
  });
  const value = state.by.sort ?? ((row) => row[state.by.key]);
  found.sort((a, b) => compare(value(a), value(b)) * (state.up ? 1 : -1));
  const rows = found.slice(0, state.most);
  body.replaceChildren(
    ...rows.map((row) =>
      element(
        "tr",
        { title: row.command },
        ...state.columns.map((column) => makeCell(column, row)),
      ),
    ),
  );
  shown.textContent =
    found.length === state.rows.length
      ? plural(found.length, "seed")
      : `${count(found.length)} of ${plural(state.rows.length, "seed")}`;
  more.hidden = rows.length === found.length;
}

// What is unknown comes first.
function compare(a, b) {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  return a < b ? -1 : 1;
}

function makeCell({ key, say, text, wide, cell }, row) {
  const content = cell ? cell(row) : say ? unknown(say)(row[key]) : row[key];
  return element(
    "td",
    { class: [text && "text", wide && "wide"].filter(Boolean).join(" ") },
    content,
  );
}

function verdictPill({ verdict }) {
  return element("span", { class: `pill ${VERDICTS[verdict].pill}` }, VERDICTS[verdict].name);
}
