import type { EdgeData, Explanation } from "../explanation";

/** The edges along which something goes back, by either end. */
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
  for (const edge of explanation.edges) {
    if (!edge.flows) continue;
    put(into, edge.source, edge);
    put(outOf, edge.target, edge);
  }
  return { into: (node) => into.get(node) ?? [], outOf: (node) => outOf.get(node) ?? [] };
}
