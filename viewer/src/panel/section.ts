import type { Step } from "../explanation";
import { h } from "../dom";

/** An element that changes with the step. */
export interface Timed {
  element: HTMLElement;
  update(step: Step): void;
}

const closed = new Set<string>(); // stay so from node to node

/** A part that can be folded away. */
export function section(title: string, kind: string, ...inside: HTMLElement[]): HTMLElement {
  const made = h("details", { class: `part of-${kind}` }, h("summary", {}, title), ...inside);
  made.open = !closed.has(title);
  made.addEventListener("toggle", () => (made.open ? closed.delete(title) : closed.add(title)));
  return made;
}

/** Something that is shown once it is known, and a note until then. */
export function until(known: (step: Step) => boolean, note: string, inside: HTMLElement): Timed {
  const later = h("p", { class: "later" }, note);
  const element = h("div", { class: "until" }, later, inside);
  return {
    element,
    update(step) {
      const now = known(step);
      later.hidden = now;
      inside.hidden = !now;
    },
  };
}
