// The report of one run, from the data and the records in the page.

import { makeControls } from "./controls.mjs";
import { Convergence } from "./convergence.mjs";
import { makeConvergence, makeForkCurve, makeRate } from "./curves.mjs";
import { makeDiagram } from "./diagram.mjs";
import { makeSummary } from "./heading.mjs";
import { History } from "./history.mjs";
import { makeLanes } from "./lanes.mjs";
import { Happenings } from "./list.mjs";
import { Moment } from "./moment.mjs";
import { readPalette, watchPalette } from "./palette.mjs";
import { unpackRecords } from "./records.mjs";
import { element } from "./text.mjs";
import { Topology } from "./topology.mjs";
import { makeTypes } from "./types.mjs";
import { Words } from "./words.mjs";

async function show() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const records = await unpackRecords(document.getElementById("records").textContent);
  readPalette();
  const story = tell(records, data);
  const moment = new Moment(story.history.end);
  const happenings = new Happenings(moment, story);
  story.happenings = happenings;
  const drawings = [makeLanes, makeConvergence, makeRate, makeDiagram, makeForkCurve].map((make) =>
    make(moment, story),
  );
  const time = element(
    "div",
    { class: "column" },
    ...drawings.filter((drawing) => drawing !== null),
  );
  const aside = element(
    "div",
    { class: "column aside" },
    new Topology(moment, story).root,
    happenings.root,
  );
  document
    .getElementById("main")
    .replaceChildren(
      ...makeSummary(moment, story),
      makeControls(moment, story),
      element("div", { class: "columns" }, time, aside),
    );
  watchPalette(() => {
    for (const canvas of document.querySelectorAll(".key canvas, .happened canvas"))
      canvas.redraw?.();
    moment.redraw();
  });
  moment.redraw();
}

function tell(records, data) {
  const history = new History(records, data);
  return {
    data,
    history,
    convergence: new Convergence(history),
    types: makeTypes(history.packets, data.messageNames),
    words: new Words(history, data),
  };
}

show().catch((error) => {
  document.getElementById("main").textContent = `This report cannot be shown: ${error.message}`;
  throw error;
});
