import "./panel.css";
import type { Explanation, Step } from "../explanation";
import { flows } from "./flows";
import { nodeView } from "./node";
import { overview } from "./overview";
import type { Timed } from "./section";

/** The side panel: all there is to know of the selected node, or of the whole. Its links dispatch `glassgrad:select`. */
export function mountPanel(host: HTMLElement, explanation: Explanation) {
  const edges = flows(explanation);
  let shown: { node: number | null; view: Timed } | undefined;
  const view = (node: number | null): Timed => {
    const n = node === null ? undefined : explanation.nodes[node];
    return n ? nodeView(explanation, edges, n) : { element: overview(explanation), update() {} };
  };
  host.classList.add("panel");
  return {
    show(node: number | null, step: Step): void {
      if (!shown || shown.node !== node) {
        shown = { node, view: view(node) };
        host.replaceChildren(shown.view.element);
        host.scrollTop = 0;
      }
      shown.view.update(step);
    },
  };
}
