import { h } from "../dom";
import type { Data, Explanation, NodeData, Step } from "../explanation";
import { arrayView } from "./array";
import type { Flows } from "./flows";
import { link } from "./link";
import { math } from "./math";
import { size } from "./numbers";
import { section, type Timed, until } from "./section";
import { cell, table } from "./table";

const USES = 30; // that are listed at once

/** Everything about one node, and how much of it is known at a step. */
export function nodeView(explanation: Explanation, flows: Flows, n: NodeData): Timed {
  const valueAt = explanation.forward.indexOf(n.id) + 1;
  const turn = explanation.backward.indexOf(n.id) + 1;
  const gradAt = explanation.forward.length + turn;
  const value = until((s) => s.hasValue(n.id), `not yet: computed at step ${valueAt}`, arrayView(n.value));
  const parts: Timed[] = [value];
  const sections = [section("Value", "value", value.element)];
  if (n.grad) {
    const chain = until((s) => !turn || s.hasGrad(n.id), `not yet: complete at step ${gradAt}`, gradient(n));
    const arriving = arrives(explanation, flows, n);
    parts.push(chain, ...arriving.parts);
    sections.push(section("Gradient", "grad", chain.element, arriving.element));
  } else sections.push(section("Gradient", "grad", h("p", { class: "none" }, without(n))));
  if (n.derivatives.some(Boolean)) sections.push(section("Local derivatives", "local", locals(n)));
  const passing = passes(explanation, flows, n);
  if (passing) {
    parts.push(...passing.parts);
    sections.push(section("Passes back to its inputs", "grad", passing.element));
  }
  const around = fellows(explanation, n);
  if (around) sections.push(section(around.title, "group", around.element));
  return {
    element: h("article", {}, header(explanation, n), ...sections),
    update: (step) => parts.forEach((p) => p.update(step)),
  };
}

/** The others of its group, or of its scope. */
function fellows(explanation: Explanation, n: NodeData) {
  const group = explanation.groups.find((g) => g.nodes.length > 1 && g.nodes.includes(n.id));
  const found = group ?? explanation.scopes.find((s) => s.name === n.scope);
  if (!found || found.nodes.length < 2) return null;
  const rows = found.nodes.map((k) => {
    const { name, op, shape } = explanation.nodes[k]!;
    return [cell(k === n.id ? h("b", {}, name) : link(k, name)), cell(op), cell(size(shape))];
  });
  return { title: `Group ${found.name}`, element: table(["", "op", "shape"], rows) };
}

function header(explanation: Explanation, n: NodeData): HTMLElement {
  const several = n.value && "parts" in n.value ? `${n.value.parts.length} outputs` : "";
  const shape = n.shape.length ? `shape ${size(n.shape)}` : "scalar";
  const path = n.path === n.name ? "" : n.path;
  const facts = [several || shape, n.dtype, path, n.scope && `in ${n.scope}`].filter(Boolean);
  const behind = n.derivative_of === null ? undefined : explanation.nodes[n.derivative_of];
  return h(
    "header",
    {},
    h("h2", {}, h("span", { class: "name" }, n.name), h("span", { class: "op" }, n.op)),
    n.latex ? math(`${n.symbol} = ${n.latex}`, true) : null,
    h("p", { class: "facts" }, ...facts.map((f) => h("span", {}, f))),
    n.rule ? h("p", { class: "rule" }, n.rule) : null,
    behind ? h("p", {}, "Differentiates ", link(behind.id, behind.name)) : null,
    n.file ? source(n) : null,
  );
}

function source(n: NodeData): HTMLElement {
  const place = h("figcaption", { title: n.file }, `${n.file.split(/[\\/]/).at(-1)}:${n.line}`);
  return h("figure", { class: "source" }, place, n.source ? h("code", {}, n.source) : null);
}

function gradient(n: NodeData): HTMLElement {
  return h("div", {}, arrayView(n.grad), n.chain ? math(n.chain, true) : null);
}

/** Why there is no gradient. */
function without(n: NodeData): string {
  if (n.op === "constant") return "None: a constant does not vary.";
  if (/^(u?int|bool)/.test(n.dtype)) return `None: ${n.dtype} values have no derivatives.`;
  return "None: it does not depend on what is differentiated by.";
}

/** ∂node/∂input for each input: as a formula, and its numbers. */
function locals(n: NodeData): HTMLElement {
  const found = n.derivatives.flatMap((latex, k) => {
    if (!latex) return [];
    const data = n.local[k] ?? null;
    return [math(latex, true), data && !says(latex, data) ? arrayView(matrix(data, n)) : ""];
  });
  return h("div", {}, ...found);
}

/** Whether an equation ends in the one number that all elements are. */
function says(latex: string, data: Data): boolean {
  if (!data || "parts" in data) return false;
  return [data.min, data.max, ...(data.elements ?? [])].every((v) => v === undefined || latex.endsWith(` = ${v}`));
}

/** A Jacobian as a matrix: a row for each element of the node, a column for each of the input. */
function matrix(data: Data, n: NodeData): Data {
  if (!data || "parts" in data || n.kind === "elementwise" || !n.shape.length || data.shape.length < 3) return data;
  const product = (shape: number[]) => shape.reduce((m, k) => m * k, 1);
  return { ...data, shape: [product(n.shape), product(data.shape) / product(n.shape)] };
}

/** What each user gives to the gradient, known as soon as that user has been left. */
function arrives(explanation: Explanation, flows: Flows, n: NodeData) {
  const edges = flows.into(n.id);
  const rows = edges.map((e) => {
    const user = explanation.nodes[e.target]!;
    const shown = until((s: Step) => s.hasGrad(user.id), "not yet", amount(e.contribution ?? n.grad));
    const again = edges.some((other) => other !== e && other.target === e.target);
    const which = again ? h("small", {}, `as input ${e.position + 1}`) : null;
    return { part: shown, row: h("li", {}, link(user.id, user.name), which, shown.element) };
  });
  if (!rows.length) return { parts: [], element: h("p", { class: "none" }, alone(explanation, n)) };
  const title = rows.length > 1 ? `It is the sum of what arrives from its ${rows.length} uses` : "It arrives from";
  return { parts: rows.map((r) => r.part), element: flow(title, rows.map((r) => r.row)) };
}

function alone(explanation: Explanation, n: NodeData): string {
  if (n.id !== explanation.output) return "Nothing arrives: no gradient flows back to it.";
  return n.shape.length ? "It is the output: C is the sum of its elements." : "It is the output C itself.";
}

/** What it gives to the gradients of its inputs. */
function passes(explanation: Explanation, flows: Flows, n: NodeData) {
  const edges = flows.outOf(n.id);
  if (!edges.length) return null;
  const rows = edges.map((e) => {
    const input = explanation.nodes[e.source]!;
    const shown = until((s: Step) => s.hasGrad(n.id), "not yet", amount(e.contribution ?? input.grad));
    return { part: shown, row: h("li", {}, link(input.id, input.name), shown.element) };
  });
  return { parts: rows.map((r) => r.part), element: flow("", rows.map((r) => r.row)) };
}

function flow(title: string, rows: HTMLElement[]): HTMLElement {
  const rest = rows.slice(USES);
  return h(
    "div",
    { class: "flow" },
    title ? h("h4", {}, title) : null,
    h("ul", {}, ...rows.slice(0, USES)),
    rest.length ? h("details", {}, h("summary", {}, `${rest.length} more`), h("ul", {}, ...rest)) : null,
  );
}

function amount(data: Data): HTMLElement {
  const of = (d: Data): string => (d === null ? "-" : "parts" in d ? d.parts.map(of).join(", ") : d.text);
  return h("span", { class: "grad" }, of(data));
}
