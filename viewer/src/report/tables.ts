import { h } from "../dom";
import { type Finding, type Layer, type Maybe, percent, type Report, type Section, text } from "./data";

type Cell = string | HTMLElement;

function table(head: string[], rows: Cell[][]): HTMLElement {
  const cells = (kind: "th" | "td", row: Cell[]) => h("tr", {}, ...row.map((c, k) => cell(k ? kind : "th", c)));
  return h(
    "div",
    { class: "wide", tabindex: 0 },
    h(
      "table",
      {},
      head.length ? h("thead", {}, cells("th", head)) : null,
      h("tbody", {}, ...rows.map((row) => cells("td", row))),
    ),
  );
}

function cell(kind: "th" | "td", content: Cell): HTMLElement {
  const numeric = typeof content === "string" && /^[-–<\d]/.test(content);
  return h(kind, numeric ? { class: "number" } : {}, content);
}

/** The layers as they were measured last. */
export function layerTable(report: Report): HTMLElement {
  const head = ["layer", "weight", "parameters", "weights", "activations", "saturated", "dead units", "gradient"];
  return table([...head, "update ratio"], report.layers.map(layerRow));
}

function layerRow(layer: Layer): Cell[] {
  const last = (name: string): Maybe => layer.series[name]?.at(-1) ?? null;
  const spread = (name: string) => `${text(last(`${name}_mean`), 3)} ± ${text(last(`${name}_std`), 3)}`;
  const dead = last("dead");
  return [
    layer.name,
    layer.shape.join("×"),
    layer.parameters.toLocaleString("en"),
    spread("weight"),
    spread("activation"),
    bar(last("saturated"), percent(last("saturated"))),
    bar(dead, dead === null ? "–" : `${Math.round(dead * layer.units)} of ${layer.units}`),
    text(last("gradient_norm"), 3),
    text(last("update"), 3),
  ];
}

function bar(share: Maybe, label: string): HTMLElement {
  const made = h("span", { class: "bar" }, h("span", {}, label));
  made.style.setProperty("--share", String(share ?? 0));
  return made;
}

export function settings(report: Report): HTMLElement {
  const shown = Object.entries(report.settings).filter(([, value]) => value !== null && value !== "");
  return table(
    [],
    shown.map(([name, value]) => [name.replaceAll("_", " "), written(value)]),
  );
}

function written(value: unknown): string {
  if (Array.isArray(value)) return value.length ? value.map(written).join(", ") : "none";
  return typeof value === "number" ? text(value, 6) : String(value);
}

export function section({ title, note, text: words, head, rows }: Section): HTMLElement {
  return h(
    "section",
    { class: "card" },
    h("h3", {}, title),
    note ? h("p", {}, note) : null,
    words ? h("pre", { tabindex: 0 }, words) : null,
    rows
      ? table(
          head ?? [],
          rows.map((row) => row.map((c) => (typeof c === "string" ? c : text(c, 6)))),
        )
      : null,
  );
}

/** Numbers by name as a sentence; tables among them are left out. */
function numbers(evidence: unknown): string {
  if (typeof evidence !== "object" || evidence === null) return String(evidence);
  const plain = (value: unknown): boolean => typeof value !== "object" || (Array.isArray(value) && value.every(plain));
  const shown = Object.entries(evidence).filter(([, value]) => value !== "" && value !== null && plain(value));
  return shown.map(([name, value]) => `${name.replaceAll("_", " ")} ${written(value)}`).join(", ");
}

export function finding({ problem, place, evidence, remedy }: Finding): HTMLElement {
  return h(
    "li",
    { class: "card finding" },
    h("strong", {}, problem.replaceAll("_", " ")),
    place ? h("span", { class: "place" }, place) : null,
    h("p", {}, numbers(evidence)),
    h("p", { class: "remedy" }, remedy),
  );
}
