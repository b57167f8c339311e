// The one small box that says what lies under the pointer.

import { element } from "./text.mjs";

const box = element("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(box);

export function showTip(event, text) {
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  const left =
    event.clientX + 14 + width > innerWidth ? event.clientX - width - 10 : event.clientX + 14;
  const up =
    event.clientY + 16 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 16;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, up)}px`;
}

export function hideTip() {
  box.hidden = true;
}
