import { h } from "../dom";

/** What a key does, in the words of the help. */
export interface Binding {
  keys: string[];
  shown: string;
  does: string;
  act(key: string): void;
}

/** Keys of the page; those typed into fields are left alone, and arrows inside the panel scroll it. */
export function listen(bindings: Binding[], panel: HTMLElement): void {
  const table = new Map(bindings.flatMap((b) => b.keys.map((key) => [key, b] as const)));
  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof HTMLElement ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = at.matches("input, textarea, select");
    const slides = at.matches("input[type=range]");
    const moves = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
    if (typing && !(slides && !moves)) return;
    if (moves && panel.contains(at)) return;
    if ((event.key === " " || event.key === "Enter") && at.closest("button, summary, a")) return;
    const binding = table.get(event.key);
    if (!binding) return;
    event.preventDefault();
    binding.act(event.key);
  });
}

export function help(bindings: Binding[]): HTMLDialogElement {
  const close = () => dialog.close();
  const dialog = h(
    "dialog",
    { class: "help", "aria-label": "Help" },
    h("h2", {}, "Reading the picture"),
    h(
      "p",
      {},
      "Values flow down the graph and stand after ",
      h("b", { class: "value" }, "↓"),
      ". Gradients of the output flow up and stand after ",
      h("b", { class: "grad" }, "↑"),
      ". Small bars are an array's elements, up or down by sign; of large arrays, the histogram. ⚠ marks NaN and infinity.",
    ),
    h("h2", {}, "Keys"),
    h("table", {}, ...bindings.map((b) => h("tr", {}, h("th", {}, h("kbd", {}, b.shown)), h("td", {}, b.does)))),
    h("p", {}, "Drag to pan, turn the wheel to zoom, double-click a group to open it."),
    h("button", { type: "button", click: close }, "Close"),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  return dialog;
}
