// All that happened but packets, as text: to filter, to read, and to jump to.

import { drawMark, sample } from "./palette.mjs";
import { card, count, element, lowerBound, seconds } from "./text.mjs";
import { TOPICS } from "./words.mjs";

const PAGE = 100;

export class Happenings {
  constructor(moment, story) {
    this.moment = moment;
    this.story = story;
    this.shown = new Set(Object.keys(TOPICS).filter((topic) => !TOPICS[topic].often));
    this.page = 0;
    this.list = element("ol", { class: "happened", tabindex: "0", "aria-label": "What happened" });
    this.where = element("span", { class: "soft", role: "status" });
    this.root = card(
      "What happened",
      "a click moves the cursor there",
      this.#makeChips(),
      this.list,
      this.#makePages(),
    );
    moment.watch((changed) => this.#changed(changed));
    this.#filter();
  }

  #changed(changed) {
    if (changed.has("node")) this.#filter();
    else if (changed.has("at")) this.#followCursor();
  }

  // FAULT_BEGAN and such are told to each node, but are one event.
  #filter() {
    const { history, words } = this.story;
    const { node } = this.moment;
    const own = node === null ? history.events : history.nodes[node].marks;
    const told = new Set();
    this.events = own.filter((i) => {
      const topic = words.topicOf(i);
      if (!this.shown.has(topic)) return false;
      if (topic !== "faults") return true;
      const key = `${history.records.kind[i]} ${history.records.subject[i]}`;
      if (told.has(key)) return false;
      told.add(key);
      return true;
    });
    this.page = this.#pageOf(this.#current());
    this.#draw();
  }

  #current() {
    const { at } = this.story.history.records;
    return lowerBound(this.events, this.moment.at + 1e-9, (i) => at[i]) - 1;
  }

  #pageOf(place) {
    return Math.max(0, Math.floor(place / PAGE));
  }

  #followCursor() {
    const page = this.#pageOf(this.#current());
    if (page === this.page) return this.#markCurrent();
    this.page = page;
    return this.#draw();
  }

  #draw() {
    const start = this.page * PAGE;
    const rows = this.events.slice(start, start + PAGE);
    this.list.replaceChildren(...rows.map((i) => this.#row(i)));
    this.list.start = start + 1;
    const last = start + rows.length;
    this.where.textContent = rows.length
      ? `${count(start + 1)}–${count(last)} of ${count(this.events.length)}`
      : "nothing of these kinds";
    this.earlier.disabled = this.page === 0;
    this.later.disabled = last >= this.events.length;
    this.marked = null;
    this.#markCurrent();
  }

  #row(i) {
    const { history, words } = this.story;
    const at = history.records.at[i];
    const topic = words.topicOf(i);
    const picture = sample((context, width, height) =>
      drawMark(context, words.markOf(i), width / 2, height / 2, 4),
    );
    const text = element("span", { class: topic === "trouble" ? "urgent" : "" }, words.sentence(i));
    const button = element(
      "button",
      { type: "button" },
      element("time", {}, seconds(at)),
      picture,
      text,
    );
    button.addEventListener("click", () => this.moment.seek(at));
    return element("li", {}, button);
  }

  #markCurrent() {
    const row = this.list.children[this.#current() - this.page * PAGE] ?? null;
    if (row === this.marked) return;
    this.marked?.classList.remove("current");
    this.marked?.removeAttribute("aria-current");
    row?.classList.add("current");
    row?.setAttribute("aria-current", "true");
    this.marked = row;
    if (row) this.#bringIntoView(row);
  }

  // Scrolls the list, never the page.
  #bringIntoView(row) {
    const { scrollTop, clientHeight } = this.list;
    const y = row.offsetTop - this.list.offsetTop;
    if (y < scrollTop || y + row.offsetHeight > scrollTop + clientHeight)
      this.list.scrollTop = y - clientHeight / 3;
  }

  #makeChips() {
    const some = new Map();
    for (const i of this.story.history.events) {
      const topic = this.story.words.topicOf(i);
      some.set(topic, (some.get(topic) ?? 0) + 1);
    }
    const chips = Object.entries(TOPICS)
      .filter(([topic]) => some.has(topic))
      .map(([topic, { name }]) => {
        const chip = element(
          "button",
          { type: "button", "aria-pressed": String(this.shown.has(topic)) },
          name,
        );
        chip.addEventListener("click", () => {
          if (!this.shown.delete(topic)) this.shown.add(topic);
          chip.setAttribute("aria-pressed", String(this.shown.has(topic)));
          this.#filter();
        });
        return chip;
      });
    return element(
      "div",
      { class: "chips screen-only", role: "group", "aria-label": "Kinds that are listed" },
      ...chips,
    );
  }

  #makePages() {
    const turn = (by) => () => {
      this.page += by;
      this.#draw();
      this.list.scrollTop = 0;
    };
    this.earlier = element("button", { type: "button", onclick: turn(-1) }, "Earlier");
    this.later = element("button", { type: "button", onclick: turn(1) }, "Later");
    return element("div", { class: "pages" }, this.where, this.earlier, this.later);
  }
}
