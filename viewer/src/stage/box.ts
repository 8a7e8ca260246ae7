import type { ArrayData, Data, Explanation, NodeData, Step } from "../explanation";
import { h } from "../dom";
import type { Size } from "./layout";
import { strip } from "./strip";
import { isGroup, isLeaf, type Item, keyOf } from "./tree";

const WIDEST = 264;
const BESIDE = 92; // a value and a gradient up to that width stand beside each other
const NARROWEST = 84;
const MONO = '11.5px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const BOLD = "600 13px system-ui, sans-serif";

/** One box on the stage: a name, how it is made, its value and its gradient. Inside a scope names go without it. */
export class Box {
  readonly key: string;
  readonly element: HTMLElement;
  readonly size: Size;
  /** the node whose value and gradient are shown: of a group what it hands on */
  readonly node: NodeData;
  private readonly cells: { value: HTMLElement; grad: HTMLElement };
  private readonly made: HTMLElement;
  private readonly says: string;
  private readonly called: string;

  constructor(
    readonly item: Item,
    scope: string,
    explanation: Explanation,
  ) {
    const { nodes } = explanation;
    this.key = keyOf(item);
    const members = isGroup(item) ? item.members : [item];
    this.node = nodes[members.at(-1)!]!;
    const n = this.node;
    const operations = members.filter((k) => !isLeaf(nodes[k]!)).length;
    const name = isGroup(item) ? item.name : n.name;
    const made = isGroup(item) ? `${operations} ops` : says(n);
    this.called = isGroup(item) ? `group ${name}, ${made}, closed` : `${name} ${made}`.trim();
    const shape = n.shape.join("×");
    const brief = (text: string) => within(scope, text);
    this.says = brief(made);
    this.made = h("span", { class: "formula" }, this.says);
    this.cells = { value: cell(n.value, "value", "↓"), grad: cell(n.grad, "grad", "↑") };
    const kinds = [
      isGroup(item) ? "group" : isLeaf(n) ? "leaf" : "op",
      members.includes(explanation.output) ? "output" : "",
      !isGroup(item) && explanation.parameters.includes(item) ? "parameter" : "",
    ];
    this.element = h(
      "div",
      { class: `box ${kinds.filter(Boolean).join(" ")}`, "data-key": this.key, role: "button", tabindex: -1, title: hint(n) },
      h("div", { class: "title" }, h("b", {}, brief(name)), this.made, shape ? h("span", { class: "shape" }, shape) : null),
      h("div", { class: "cells" }, this.cells.value, this.cells.grad),
    );
    if (isGroup(item)) this.element.setAttribute("aria-expanded", "false");
    const drawn = [n.value, n.grad].some(isWide);
    const widest = Math.max(cellWidth(n.value), cellWidth(n.grad));
    const stacked = !drawn && widest > BESIDE;
    this.element.classList.toggle("stacked", stacked);
    const sides = kinds.includes("leaf") ? 40 : 32;
    const title = width(brief(name), BOLD) + (made ? width(this.says, MONO) + 8 : 0) + (isGroup(item) ? 18 : 0) + (shape ? width(shape, MONO) + 8 : 0);
    const wanted = Math.max(title, stacked ? widest : 2 * widest + 10) + sides;
    this.size = { width: Math.ceil(Math.min(WIDEST, Math.max(NARROWEST, wanted))), height: drawn || stacked ? 66 : 50 };
    this.element.style.width = `${this.size.width}px`;
    this.element.style.height = `${this.size.height}px`;
  }

  /** What is known at a step; a closed group says which of its nodes is computed. */
  update(step: Step, current: NodeData | null): void {
    if (isGroup(this.item)) this.made.textContent = current ? `· ${current.name}` : this.says;
    const value = step.hasValue(this.node.id);
    const grad = step.hasGrad(this.node.id);
    this.cells.value.classList.toggle("known", value);
    this.cells.grad.classList.toggle("known", grad);
    this.element.setAttribute(
      "aria-label",
      this.called + (value ? `, value ${written(this.node.value)}` : "") + (grad ? `, gradient ${written(this.node.grad)}` : ""),
    );
  }
}

/** A name or a formula without the scope, which the frame around it says. */
function within(scope: string, text: string): string {
  if (!scope) return text;
  const [spaced, called] = [` ${scope}/`, `(${scope}/`];
  return ` ${text}`.replaceAll(spaced, " ").replaceAll(called, "(").slice(1);
}

/** How a node is made, unless its name says it. */
function says(n: NodeData): string {
  if (isLeaf(n)) return n.path.includes(n.name) ? "" : n.path;
  return n.formula === n.name ? "" : `= ${n.formula}`;
}

/** All of what a box may have to cut off. */
const hint = (n: NodeData): string => [`${n.name} = ${n.formula}`, n.source && `line ${n.line}: ${n.source}`].filter(Boolean).join("\n");

export function written(data: Data): string {
  if (data === null) return "none";
  return "parts" in data ? `(${data.parts.map(written).join(", ")})` : data.text;
}

/** Of an array that is too large to be written out, its mean and standard deviation: "0.1 ± 1". */
function summary(data: ArrayData): string | null {
  const found = /^\[[\d×]+\] (?:mean (\S+), std (\S+))?/.exec(data.text);
  const brief = (number: string | undefined) => String(Number(Number(number).toPrecision(2)));
  return found && (found[1] ? `${brief(found[1])}±${brief(found[2])}` : data.dtype);
}

const isWide = (data: Data): boolean => data !== null && !("parts" in data) && summary(data) !== null;

function cellWidth(data: Data): number {
  if (data === null) return 20;
  return isWide(data) ? 107 : width(written(data), MONO) + (isBad(data) ? 34 : 14);
}

function cell(data: Data, kind: "value" | "grad", arrow: string): HTMLElement {
  const number = h("span", { class: "number" });
  if (data === null) {
    number.classList.add("none");
    number.append("–");
  } else {
    const summed = "parts" in data ? null : summary(data);
    if (summed === null || "parts" in data) number.append(written(data));
    else number.append(strip(data) ?? "", h("small", {}, summed));
  }
  return h("div", { class: `cell ${kind}${isBad(data) ? " bad" : ""}` }, h("i", { "aria-hidden": "true" }, arrow), number);
}

/** Whether there is a NaN or an infinity. */
function isBad(data: Data): boolean {
  if (data === null) return false;
  if ("parts" in data) return data.parts.some(isBad);
  const few = data.elements?.some((v) => typeof v === "string" && !Number.isFinite(Number(v)) && /nan|inf/.test(v));
  return few ?? (data.finite !== undefined && data.finite < data.shape.reduce((a, b) => a * b, 1));
}

const measure = document.createElement("canvas").getContext("2d")!;

function width(text: string, font: string): number {
  measure.font = font;
  return measure.measureText(text).width;
}
