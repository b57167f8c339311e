// What all views of a run share: the cursor, the part of time that is shown, the chosen node.

export class Moment {
  #listeners = [];
  #waiting = new Set();

  constructor(end) {
    this.end = end;
    this.at = 0;
    this.from = 0;
    this.to = end;
    this.node = null; // a place in story.nodes
    this.playing = false;
    this.speed = 1; // seconds of the run in a second
  }

  // `listener(changed)`: the names of what changed, once a frame at most.
  watch(listener) {
    this.#listeners.push(listener);
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) {
      if (this[name] === value) continue;
      this[name] = value;
      if (this.#waiting.size === 0) requestAnimationFrame(() => this.#tell());
      this.#waiting.add(name);
    }
  }

  seek(at, { follow = true } = {}) {
    const time = Math.min(Math.max(at, 0), this.end);
    this.set({ at: time });
    if (!follow || (time >= this.from && time <= this.to)) return;
    const width = this.to - this.from;
    const from = Math.min(Math.max(time - width * 0.1, 0), this.end - width);
    this.set({ from, to: from + width });
  }

  // So many times closer, with `center` staying where it is on the screen.
  zoom(factor, center = this.#inWindow()) {
    const width = Math.min(Math.max((this.to - this.from) / factor, 0.001), this.end);
    const part = (center - this.from) / (this.to - this.from);
    this.#show(center - part * width, width);
  }

  pan(by) {
    this.#show(this.from + by, this.to - this.from);
  }

  window(from, to) {
    this.#show(from, Math.max(to - from, 0.001));
  }

  redraw() {
    this.set({ drawing: (this.drawing ?? 0) + 1 });
  }

  #show(from, width) {
    const start = Math.min(Math.max(from, 0), Math.max(this.end - width, 0));
    this.set({ from: start, to: Math.min(start + width, this.end) });
  }

  #inWindow() {
    return this.at >= this.from && this.at <= this.to ? this.at : (this.from + this.to) / 2;
  }

  #tell() {
    const changed = this.#waiting;
    this.#waiting = new Set();
    for (const listener of this.#listeners) listener(changed);
  }
}
