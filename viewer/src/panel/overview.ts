import type { Data, Explanation, NodeData, PathsData } from "../explanation";
import { arrayView } from "./array";
import { h, link } from "./dom";
import { math } from "./math";
import { numeric, size } from "./numbers";
import { section } from "./section";

const ROWS = 100;

/** The whole: what is differentiated, both passes as tables, and the number of paths. */
export function overview(explanation: Explanation): HTMLElement {
  const { nodes, edges, parameters, passes, paths } = explanation;
  const output = nodes[explanation.output]!;
  const named = new Map(nodes.map((n) => [n.name, n.id]));
  const name = (text: string) => (named.has(text) ? link(named.get(text)!, text) : text);
  const shape = output.shape.length ? `the sum of the ${size(output.shape)} elements of` : "";
  return h(
    "article",
    {},
    h(
      "header",
      {},
      h("h2", {}, h("span", { class: "name" }, "The whole")),
      h("p", {}, "C is ", shape && `${shape} `, name(output.name), ", the output."),
      h("p", { class: "facts" }, ...[`${nodes.length} nodes`, `${edges.length} edges`, `${parameters.length} parameters`].map((t) => h("span", {}, t))),
    ),
    section("Output", "value", arrayView(output.value)),
    section("Parameters", "grad", table(["", "value", "∂C/∂"], parameters.map((p) => parameter(nodes[p]!)))),
    section(
      "Forward pass",
      "value",
      h("p", { class: "note" }, "Each parameter is multiplied by something: ", math("\\frac{\\partial z}{\\partial w}"), "."),
      table(["z", "w", "multiplies", "∂z/∂w"], passes.forward.map((r) => [cell(name(r.z), r.formula), cell(name(r.parameter)), cell(name(r.multiplies)), amount(r.factor, "value")])),
    ),
    section(
      "Backward pass",
      "grad",
      h("p", { class: "note" }, "The network in reverse, with the slopes of its activations as gains: ", math("\\frac{\\partial C}{\\partial z}"), "."),
      table(["z", "gain", "arrives", "∂C/∂z"], passes.backward.map((r) => [cell(name(r.z)), gain(r.gain, r.amplification), cell(r.arrives), amount(r.grad, "grad")])),
    ),
    ...(paths.length ? [section("Paths", "local", ...pathsView(explanation, paths))] : []),
  );
}

function parameter(n: NodeData): HTMLElement[] {
  return [cell(link(n.id, n.name)), amount(n.value, "value"), amount(n.grad, "grad")];
}

function gain(symbol: string, amplification: Data): HTMLElement {
  return h("td", { class: "value" }, symbol && h("div", {}, symbol), amplification && "text" in amplification ? amplification.text : "");
}

function pathsView(explanation: Explanation, paths: PathsData[]): HTMLElement[] {
  const nodes = explanation.nodes;
  const rows = paths.map((p) => [
    cell(link(p.parameter, nodes[p.parameter]!.name)),
    ...[p.count, p.edges, p.operations, p.naive].map((t) => cell(count(t))),
  ]);
  const strongest = paths.flatMap((p) =>
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
    h("h4", {}, "The strongest path to each, and its share"),
    h("ul", { class: "paths" }, ...strongest),
  ];
}

function count(digits: string): string {
  return digits.length < 10 ? digits : `${digits[0]}.${digits.slice(1, 3)}e${digits.length - 1}`;
}

function cell(inside: string | Node, title = ""): HTMLElement {
  return h("td", { title }, inside);
}

function amount(data: Data, kind: string): HTMLElement {
  return h("td", { class: kind }, data && "text" in data ? data.text : "-");
}

/** The first rows, and a button for the others. */
function table(head: string[], rows: HTMLElement[][]): HTMLElement {
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
