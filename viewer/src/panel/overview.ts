import { h } from "../dom";
import type { Data, Explanation, ForwardRow, PathsData, Step } from "../explanation";
import { arrayView } from "./array";
import { link } from "./link";
import { numeric, size } from "./numbers";
import { section, type Timed, until } from "./section";
import { cell, table } from "./table";

/** The whole: what is differentiated, both passes as tables, and the number of paths. */
export function overview(explanation: Explanation): Timed {
  const { nodes, edges, parameters, passes, paths } = explanation;
  const output = nodes[explanation.output]!;
  const named = new Map(nodes.map((n) => [n.name, n.id]));
  const reached = new Set(explanation.backward);
  const parts: Timed[] = [];
  const timed = (inside: HTMLElement, known: (step: Step) => boolean) => {
    const part = until(known, "not yet", inside);
    parts.push(part);
    return part.element;
  };
  const name = (text: string) => (named.has(text) ? link(named.get(text)!, text) : text);
  const value = (node: number, data: Data) =>
    h("td", { class: "wide value" }, timed(h("span", {}, text(data)), (s) => s.hasValue(node)));
  const grad = (node: number, data: Data) =>
    h("td", { class: "wide grad" }, timed(h("span", {}, text(data)), (s) => !reached.has(node) || s.hasGrad(node)));
  const at = (z: string) => named.get(z) ?? output.id;

  const shape = output.shape.length ? `the sum of the ${size(output.shape)} elements of ` : "";
  const facts = [`${nodes.length} nodes`, `${edges.length} edges`, `${parameters.length} parameters`];
  const learnt = parameters.map((p) => {
    const n = nodes[p]!;
    return [cell(link(p, n.name)), value(p, n.value), grad(p, n.grad)];
  });
  const forward = forwardRows(passes.forward, name, (r) => value(at(r.z), r.factor));
  const backward = passes.backward.map((r) => {
    const gain = r.gain ? value(at(r.z), r.amplification) : cell("");
    gain.prepend(r.gain, " ");
    return [cell(name(r.z)), gain, cell(r.arrives), grad(at(r.z), r.grad)];
  });
  const note = (words: string) => h("p", { class: "note" }, words);
  const element = h(
    "article",
    {},
    h("p", {}, "C is the output: ", shape, name(output.name), "."),
    h("p", { class: "facts" }, ...facts.map((t) => h("span", {}, t))),
    section("Output", "value", timed(arrayView(output.value), (s) => s.hasValue(output.id))),
    section("Parameters", "grad", table(["", "value", "gradient"], learnt)),
    section(
      "Forward pass",
      "value",
      note("What each parameter w is multiplied by, ∂z/∂w."),
      table(["w", "multiplies", "∂z/∂w"], forward),
    ),
    section(
      "Backward pass",
      "grad",
      note("∂C/∂z by the network in reverse: each activation is an amplifier with a fixed gain."),
      table(["z", "gain", "arrives", "∂C/∂z"], backward),
    ),
    ...(paths.length ? [section("Paths", "local", ...pathsView(explanation, paths))] : []),
  );
  return { element, update: (step) => parts.forEach((p) => p.update(step)) };
}

/** Each z with its formula, and below it what its parameters multiply. */
function forwardRows(
  rows: ForwardRow[],
  name: (text: string) => string | Node,
  factor: (row: ForwardRow) => HTMLElement,
): HTMLElement[][] {
  return rows.flatMap((r, k) => {
    const own = [cell(name(r.parameter)), cell(name(r.multiplies)), factor(r)];
    if (rows[k - 1]?.z === r.z) return [own];
    return [[h("td", { colspan: "3", class: "wide formula" }, name(r.z), ` = ${r.formula}`)], own];
  });
}

function pathsView(explanation: Explanation, paths: PathsData[]): HTMLElement[] {
  const nodes = explanation.nodes;
  const rows = paths.map((p) => [
    cell(link(p.parameter, nodes[p.parameter]!.name)),
    ...[p.count, p.edges, p.operations, p.naive].map((t) => cell(count(t))),
  ]);
  const several = paths.filter((p) => p.strongest.length > 1 && typeof p.strongest[0]!.share === "number");
  const strongest = several.flatMap((p) =>
    p.strongest.slice(0, 1).map((path) =>
      h(
        "li",
        {},
        h("b", {}, `${(100 * numeric(path.share)).toFixed(1)} % `),
        ...path.nodes.flatMap((k, i) => [i ? " → " : "", link(k, nodes[k]!.name)]),
      ),
    ),
  );
  return [
    h(
      "p",
      { class: "note" },
      "The gradient is a sum over all paths. Backpropagation takes each edge once; recursion walks every path.",
    ),
    table(["to", "paths", "edges", "operations", "by recursion"], rows),
    ...(strongest.length
      ? [h("h4", {}, "The strongest of several, and its share of the gradient"), h("ul", { class: "paths" }, ...strongest)]
      : []),
  ];
}

function count(digits: string): string {
  return digits.length < 10 ? digits : `${digits[0]}.${digits.slice(1, 3)}e${digits.length - 1}`;
}

function text(data: Data): string {
  return data && "text" in data ? data.text : "-";
}
