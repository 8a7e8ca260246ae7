import { h } from "../dom";

/** A button that selects a node. */
export function link(node: number, text: string): HTMLButtonElement {
  const click = () => made.dispatchEvent(new CustomEvent("glassgrad:select", { detail: node, bubbles: true }));
  const made = h("button", { type: "button", class: "link", title: text, click }, text);
  return made;
}
