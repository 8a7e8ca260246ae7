import type { EdgeData, Explanation } from "../explanation";

/** The edges along which something goes back, by either end; those into a node in the order in which it arrives. */
export interface Flows {
  into(node: number): EdgeData[];
  outOf(node: number): EdgeData[];
}

export function flows(explanation: Explanation): Flows {
  const [into, outOf] = [new Map<number, EdgeData[]>(), new Map<number, EdgeData[]>()];
  const put = (map: Map<number, EdgeData[]>, key: number, edge: EdgeData) => {
    const found = map.get(key);
    if (found) found.push(edge);
    else map.set(key, [edge]);
  };
  const when = new Map(explanation.backward.map((node, k) => [node, k]));
  const edges = explanation.edges.filter((e) => e.flows);
  edges.sort((a, b) => (when.get(a.target) ?? 0) - (when.get(b.target) ?? 0) || a.position - b.position);
  for (const edge of edges) {
    put(into, edge.source, edge);
    put(outOf, edge.target, edge);
  }
  return { into: (node) => into.get(node) ?? [], outOf: (node) => outOf.get(node) ?? [] };
}
