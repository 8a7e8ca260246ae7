import { h } from "../dom";

const ROWS = 100;

export function cell(inside: string | Node, title = ""): HTMLElement {
  return h("td", { title }, inside);
}

/** The first rows, and a button for the others. */
export function table(head: string[], rows: HTMLElement[][]): HTMLElement {
  const body = h("tbody", {}, ...rows.slice(0, ROWS).map((r) => h("tr", {}, ...r)));
  const made = h("div", { class: "scroll" }, h("table", { class: "rows" }, h("thead", {}, h("tr", {}, ...head.map((t) => h("th", {}, t)))), body));
  if (rows.length > ROWS) {
    const more = h("button", { type: "button", class: "link" }, `${rows.length - ROWS} more`);
    more.addEventListener("click", () => {
      body.append(...rows.slice(ROWS).map((r) => h("tr", {}, ...r)));
      more.remove();
    });
    made.append(more);
  }
  return made;
}
