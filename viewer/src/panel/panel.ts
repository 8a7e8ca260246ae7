import "./panel.css";
import { h } from "../dom";
import type { Explanation, Step } from "../explanation";
import { flows } from "./flows";
import { nodeView } from "./node";
import { overview } from "./overview";
import type { Timed } from "./section";

/** The side panel: all there is to know of the selected node, or of the whole. Its links dispatch `glassgrad:select`. */
export function mountPanel(host: HTMLElement, explanation: Explanation) {
  const edges = flows(explanation);
  const body = h("div", { class: "body" });
  const tabs = { node: tab("Node", () => turn(false)), whole: tab("The whole", () => turn(true)) };
  let [node, step, whole]: [number | null, Step | undefined, boolean] = [null, undefined, false];
  let shown: { of: number | null; view: Timed } | undefined;

  const draw = () => {
    const of = whole ? null : node;
    const n = of === null ? undefined : explanation.nodes[of];
    if (shown?.of !== of || !shown) {
      shown = { of, view: n ? nodeView(explanation, edges, n) : overview(explanation) };
      const inside = body.contains(document.activeElement);
      body.replaceChildren(shown.view.element);
      shown.view.element.tabIndex = -1;
      if (inside) shown.view.element.focus({ preventScroll: true }); // the link that had it is gone
      host.scrollTop = 0;
    }
    tabs.node.setAttribute("aria-pressed", String(of !== null));
    tabs.whole.setAttribute("aria-pressed", String(of === null));
    if (step) shown.view.update(step);
  };
  const turn = (to: boolean) => {
    whole = to;
    draw();
  };
  const redraw = () => {
    shown = undefined;
    draw();
  };
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] }); // heat maps
  host.addEventListener("glassgrad:select", () => (whole = false));
  host.classList.add("panel");
  host.append(h("nav", { "aria-label": "What is shown" }, tabs.node, tabs.whole), body);
  return {
    show(selected: number | null, now: Step): void {
      // Whoever watches the whole goes on watching it while steps go by, until another node is chosen
      if (selected === null) whole = true;
      else if (selected !== node && now.at === step?.at) whole = false;
      [node, step] = [selected, now];
      draw();
    },
  };
}

function tab(text: string, act: () => void): HTMLButtonElement {
  const made = h("button", { type: "button", "aria-pressed": "false" }, text);
  made.addEventListener("click", act);
  return made;
}
