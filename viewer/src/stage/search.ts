import type { Explanation, NodeData } from "../explanation";
import { isShown } from "./tree";

/** Nodes that have every word somewhere in name, op, formula, scope or line; those whose name it is come first. */
export class Search {
  private readonly texts: { node: NodeData; text: string }[];

  constructor({ nodes }: Explanation) {
    this.texts = nodes
      .filter(isShown)
      .map((n) => ({ node: n, text: [n.name, n.op, n.path, n.formula, n.scope, `${n.file}:${n.line}`, n.source].join("\n").toLowerCase() }));
  }

  find(query: string): number[] {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return [];
    const rank = ({ name, op }: NodeData) => {
      const lower = name.toLowerCase();
      return lower === words[0] ? 0 : lower.startsWith(words[0]!) ? 1 : op === words[0] ? 2 : 3;
    };
    return this.texts
      .filter(({ text }) => words.every((w) => text.includes(w)))
      .map(({ node }) => node)
      .sort((a, b) => rank(a) - rank(b) || a.id - b.id)
      .map((n) => n.id);
  }
}
