import "./palette.css";
import "./report/report.css";
import { h } from "./dom";
import { embedded } from "./embedded";
import { curves, layerCurves } from "./report/curves";
import { type Report, text } from "./report/data";
import { status } from "./report/live";
import { recall, remember } from "./report/memory";
import { finding, layerTable, section, settings } from "./report/tables";
import { followSystem, toggleTheme } from "./theme";

const report = embedded<Report>();
const root = document.documentElement;
const chosen = recall("theme", "");
if (chosen) [root.dataset["chosen"], root.dataset["theme"]] = ["yes", chosen];
followSystem();

const frame = h("iframe", { title: "the model, explained", srcdoc: report.viewer });
const history = curves(report);
const layers = layerCurves(report);
const charts = [...history, ...layers];

function theme(): void {
  toggleTheme();
  remember("theme", root.dataset["theme"]);
}

/** The frame in the colours of the page. */
function paint(): void {
  const inside = frame.contentDocument?.documentElement;
  if (inside) [inside.dataset["chosen"], inside.dataset["theme"]] = ["yes", root.dataset["theme"]];
}

/** The last number of each column, and that of the epoch whose model is kept where it is another. */
function summary(): HTMLElement {
  const names = Object.keys(report.history).filter((name) => !["epoch", "lr", "seconds"].includes(name));
  const seconds = (report.history["seconds"] ?? []).reduce<number>((sum, v) => sum + (v ?? 0), 0);
  const best = report.best_epoch;
  const last = report.history["loss"]?.length ?? 0;
  const tiles = names.map((name) => {
    const values = report.history[name] ?? [];
    const kept = best && best < last ? `${text(values[best - 1])} in epoch ${best}` : "";
    return tile(name.replaceAll("_", " "), text(values.at(-1)), kept);
  });
  if (best && best < last) tiles.push(tile("model kept", `epoch ${best}`, ""));
  return h("div", { class: "tiles" }, ...tiles, tile("time in epochs", `${text(seconds, 3)} s`, ""));
}

function tile(name: string, value: string, more: string): HTMLElement {
  return h(
    "div",
    { class: "card tile" },
    h("span", {}, name),
    h("strong", {}, value),
    more ? h("small", {}, more) : null,
  );
}

function part(id: string, title: string, note: string, ...children: HTMLElement[]): HTMLElement {
  return h(
    "section",
    { id, "aria-label": title },
    h("h2", {}, title),
    note ? h("p", { class: "note" }, note) : null,
    ...children,
  );
}

const parts = [
  part("curves", "Curves", "", h("div", { class: "grid narrow" }, ...history.map((c) => c.element))),
  part(
    "layers",
    "Layers",
    `Measured on ${report.rows} rows, without dropout. A click on a layer hides it everywhere; with Shift it is shown alone.`,
    h("div", { class: "grid" }, ...layers.map((c) => c.element)),
    h("div", { class: "card" }, h("h3", {}, `epoch ${report.measured.at(-1) ?? 0}`), layerTable(report)),
  ),
  part(
    "model",
    "The model, explained",
    "Forward and backward on a few rows, value by value and gradient by gradient.",
    frame,
  ),
  part(
    "details",
    "Details",
    "",
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h3", {}, "settings"), settings(report)),
      ...report.sections.map(section),
    ),
  ),
];

document.body.append(
  h(
    "header",
    {},
    h("h1", {}, report.title),
    status(report, () => document.activeElement === frame),
    h("nav", {}, ...parts.map((p) => h("a", { href: `#${p.id}` }, p.getAttribute("aria-label")!))),
    h("button", { class: "theme", title: "light or dark (d)", "aria-label": "light or dark", click: theme }, "◐"),
  ),
  h(
    "main",
    {},
    report.error ? h("p", { class: "card error", role: "alert" }, report.error) : null,
    report.findings.length
      ? h("ul", { class: "findings", "aria-label": "findings" }, ...report.findings.map(finding))
      : null,
    summary(),
    ...parts,
    h(
      "footer",
      {},
      "Keys: d light or dark, l logarithmic axes, p pause. Drag in a chart to zoom, double-click to go back.",
    ),
  ),
);

for (const c of charts) c.draw();
frame.addEventListener("load", paint);
new MutationObserver(() => {
  for (const c of charts) c.draw();
  paint();
}).observe(root, { attributeFilter: ["data-theme"] });

let log = false;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "d") theme();
  if (event.key === "p") document.querySelector<HTMLButtonElement>(".live")?.click();
  if (event.key === "l") {
    log = !log;
    for (const c of charts) c.setLog(log);
  }
});
