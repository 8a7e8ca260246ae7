import type { Explanation, Step } from "../explanation";

/** The side panel: all there is to know of the selected node. */
export function mountPanel(host: HTMLElement, explanation: Explanation) {
  return {
    show(node: number | null, _step: Step): void {
      const n = node === null ? null : explanation.nodes[node];
      host.textContent = n ? `${n.name} = ${n.formula}` : "";
    },
  };
}
