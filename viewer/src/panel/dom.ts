/** Elements in one expression. */

type Child = Node | string | null | undefined | false;

/** `<tag class=... attribute=...>children</tag>`; what is falsy among the children is left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value) made.setAttribute(name, value);
  made.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return made;
}

/** A button that selects a node. */
export function link(node: number, text: string): HTMLButtonElement {
  const made = h("button", { type: "button", class: "link", title: text }, text);
  made.addEventListener("click", () =>
    made.dispatchEvent(new CustomEvent("glassgrad:select", { detail: node, bubbles: true })),
  );
  return made;
}
