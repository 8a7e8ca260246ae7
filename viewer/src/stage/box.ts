import type { Data, Explanation, NodeData, Step } from "../explanation";
import { h } from "../dom";
import type { Size } from "./layout";
import { strip } from "./strip";
import { isGroup, isLeaf, type Item, keyOf } from "./tree";

const WIDEST = 260;
const NARROWEST = 84;
const MONO = '11.5px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const BOLD = "600 13px system-ui, sans-serif";

/** One box on the stage: a name, how it is made, its value and its gradient. */
export class Box {
  readonly key: string;
  readonly element: HTMLElement;
  readonly size: Size;
  /** the node whose value and gradient are shown: of a group what it hands on */
  readonly node: NodeData;
  private readonly cells: { value: HTMLElement; grad: HTMLElement };
  private readonly called: string;

  constructor(
    readonly item: Item,
    explanation: Explanation,
  ) {
    const { nodes } = explanation;
    this.key = keyOf(item);
    const members = isGroup(item) ? item.members : [item];
    this.node = nodes[members.at(-1)!]!;
    const n = this.node;
    const operations = members.filter((k) => !isLeaf(nodes[k]!)).length;
    const name = isGroup(item) ? item.name : n.name;
    const made = isGroup(item) ? `${operations} ${operations === 1 ? "operation" : "operations"}` : says(n);
    this.called = isGroup(item) ? `group ${name}, ${made}, closed` : `${name}${made ? ` ${made}` : ""}`;
    this.cells = { value: cell(n.value, "value", "↓"), grad: cell(n.grad, "grad", "↑") };
    const kinds = [
      isGroup(item) ? "group" : isLeaf(n) ? "leaf" : "op",
      members.includes(explanation.output) ? "output" : "",
      !isGroup(item) && explanation.parameters.includes(item) ? "parameter" : "",
    ];
    this.element = h(
      "div",
      { class: `box ${kinds.join(" ").trim()}`, "data-key": this.key, role: "button", tabindex: -1 },
      h("div", { class: "title" }, h("b", {}, name), h("span", { class: "formula" }, made)),
      h("div", { class: "cells" }, this.cells.value, this.cells.grad),
    );
    if (isGroup(item)) this.element.setAttribute("aria-expanded", "false");
    const tall = [n.value, n.grad].some(isWide);
    const title = width(name, BOLD) + (made ? width(made, MONO) + 8 : 0) + (isGroup(item) ? 18 : 0) + 20;
    const cells = 2 * Math.max(cellWidth(n.value), cellWidth(n.grad)) + 20;
    this.size = { width: Math.ceil(Math.min(WIDEST, Math.max(NARROWEST, title, cells))), height: tall ? 66 : 50 };
    this.element.style.width = `${this.size.width}px`;
    this.element.style.height = `${this.size.height}px`;
  }

  /** What is known at a step. */
  update(step: Step): void {
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

/** How a node is made, unless its name says it. */
function says(n: NodeData): string {
  if (isLeaf(n)) return n.path && n.path !== n.name ? n.path : "";
  return n.formula === n.name ? "" : `= ${n.formula}`;
}

export function written(data: Data): string {
  if (data === null) return "none";
  return "parts" in data ? `(${data.parts.map(written).join(", ")})` : data.text;
}

/** "[10×3] mean 0, std 1" as its size and the rest. */
const summary = (text: string): [string, string] | null => {
  const found = /^\[([\d×]+)\] (.*)$/.exec(text);
  return found ? [found[1]!, found[2]!] : null;
};

const isWide = (data: Data): boolean => data !== null && !("parts" in data) && summary(data.text) !== null;

function cellWidth(data: Data): number {
  if (data === null) return 30;
  return isWide(data) ? 112 : Math.min(116, width(written(data), MONO) + 24);
}

function cell(data: Data, kind: "value" | "grad", arrow: string): HTMLElement {
  const text = written(data);
  const bad = /\b(nan|inf)\b/.test(text) || (data !== null && "finite" in data && data.finite! < size(data.shape!));
  const made = h("div", { class: `cell ${kind}${bad ? " bad" : ""}` }, h("i", { "aria-hidden": "true" }, arrow));
  if (data === null) made.append(h("span", { class: "number none" }, "–"));
  else if ("parts" in data) made.append(h("span", { class: "number" }, text));
  else {
    const summed = summary(text);
    const drawn = summed && strip(data);
    if (summed) {
      const [size, rest] = summed;
      made.append(h("span", { class: "number" }, drawn || size, h("small", {}, `${size} ${short(rest)}`)));
    } else made.append(h("span", { class: "number" }, text));
  }
  return made;
}

const short = (rest: string): string => rest.replace(/mean (\S+), std (\S+)/, "$1 ± $2");

const size = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);

const measure = document.createElement("canvas").getContext("2d")!;

function width(text: string, font: string): number {
  measure.font = font;
  return measure.measureText(text).width;
}
