import type { BackwardRow, Data, Explanation, ForwardRow, PathsData, Step } from "../explanation";
import { arrayView } from "./array";
import { h } from "../dom";
import { link } from "./link";
import { numeric, size } from "./numbers";
import { section, type Timed, until } from "./section";
import { cell, table } from "./table";

/** The whole: what is differentiated, both passes as tables, and the number of paths. */
export function overview(explanation: Explanation): Timed {
  const parts: Timed[] = [];
  const amount = (data: Data, kind: string, known: (step: Step) => boolean) => {
    const shown = until(known, "not yet", h("span", {}, text(data)));
    parts.push(shown);
    return h("td", { class: `wide ${kind}` }, shown.element);
  };
  const { nodes, edges, parameters, passes, paths } = explanation;
  const output = nodes[explanation.output]!;
  const named = new Map(nodes.map((n) => [n.name, n.id]));
  const name = (text: string) => (named.has(text) ? link(named.get(text)!, text) : text);
  const shape = output.shape.length ? `the sum of the ${size(output.shape)} elements of ` : "";
  const id = (of: string) => named.get(of) ?? explanation.output;
  const value = until((s) => s.hasValue(output.id), "not yet", arrayView(output.value));
  parts.push(value);
  const element = h(
    "article",
    {},
    h(
      "header",
      {},
      h("p", {}, "C is the output: ", shape, name(output.name), "."),
      h("p", { class: "facts" }, ...[`${nodes.length} nodes`, `${edges.length} edges`, `${parameters.length} parameters`].map((t) => h("span", {}, t))),
    ),
    section("Output", "value", value.element),
    section("Parameters", "grad", table(["", "value", "gradient"], parameters.map((p) => [cell(link(p, nodes[p]!.name)), amount(nodes[p]!.value, "value", () => true), amount(nodes[p]!.grad, "grad", (s) => s.hasGrad(p))]))),
    section(
      "Forward pass",
      "value",
      h("p", { class: "note" }, "What each parameter w is multiplied by, ∂z/∂w."),
      table(["w", "multiplies", "∂z/∂w"], forwardRows(passes.forward, name, (r) => amount(r.factor, "value", (s) => s.hasValue(id(r.z))))),
    ),
    section(
      "Backward pass",
      "grad",
      h("p", { class: "note" }, "∂C/∂z by the network in reverse: each activation is an amplifier with a fixed gain."),
      table(["z", "gain", "arrives", "∂C/∂z"], passes.backward.map((r) => [cell(name(r.z)), gain(r, amount(r.amplification, "value", (s) => s.hasValue(id(r.z)))), cell(r.arrives), amount(r.grad, "grad", (s) => s.hasGrad(id(r.z)))])),
    ),
    ...(paths.length ? [section("Paths", "local", ...pathsView(explanation, paths))] : []),
  );
  return { element, update: (step) => parts.forEach((p) => p.update(step)) };
}

/** Each z with its formula, and below it what its parameters multiply. */
function forwardRows(rows: ForwardRow[], name: (text: string) => string | Node, factor: (row: ForwardRow) => HTMLElement): HTMLElement[][] {
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
    h("p", { class: "note" }, "The gradient is a sum over all paths. Backpropagation takes each edge once; recursion walks every path."),
    table(["to", "paths", "edges", "operations", "by recursion"], rows),
    ...(strongest.length
      ? [h("h4", {}, "The strongest of several, and its share of the gradient"), h("ul", { class: "paths" }, ...strongest)]
      : []),
  ];
}

function count(digits: string): string {
  return digits.length < 10 ? digits : `${digits[0]}.${digits.slice(1, 3)}e${digits.length - 1}`;
}

function gain(row: BackwardRow, amplification: HTMLElement): HTMLElement {
  if (!row.gain) return cell("");
  amplification.prepend(h("div", {}, row.gain));
  return amplification;
}

function text(data: Data): string {
  return data && "text" in data ? data.text : "-";
}
