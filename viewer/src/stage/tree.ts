import type { Explanation, NodeData } from "../explanation";

/** Boxes in view at once: more could neither be laid out quickly nor be read. */
export const LIMIT = 300;
const FIRST = 80; // boxes in view to begin with
const FEW = 8; // boxes that are too few to begin with
const CHILDREN = 64; // of a group; longer ones are cut into stretches
const BARE = 12; // arguments that stand alone at the top

/** Nodes that may be shown as one box. */
export interface Group {
  id: number;
  name: string;
  /** names of scopes or layers, outermost first */
  place: string[];
  parent: Group | null;
  children: Item[];
  /** of all depths; the last is what the group hands on */
  members: number[];
}

export type Item = number | Group;

export const isGroup = (item: Item): item is Group => typeof item !== "number";

export const keyOf = (item: Item): string => (isGroup(item) ? `g${item.id}` : `n${item}`);

export const isLeaf = (n: NodeData): boolean => n.op === "input" || n.op === "variable" || n.op === "constant";

/** Single constants stand in formulas, and need no box. */
export const isShown = (n: NodeData): boolean => n.op !== "constant" || n.shape.length > 0;

/** The nodes by scope and layer, in order of computation; the root is a group without a parent. */
export function grow(explanation: Explanation): Group {
  for (let children = CHILDREN; ; children /= 2) {
    const root = gather(explanation);
    tidy(root, explanation.nodes, children);
    if (children <= 4 || longest(root) <= LIMIT) {
      number(root, { next: 0 });
      return root;
    }
  }
}

/** How many boxes are in view at most when one group is open, and therefore all around it. */
const longest = (g: Group): number => g.children.length + Math.max(0, ...g.children.filter(isGroup).map(longest));

function gather(explanation: Explanation): Group {
  const { nodes } = explanation;
  const root = group("", [], null);
  const firstUse = new Map<number, number>();
  for (const { source, target } of explanation.edges) {
    firstUse.set(source, Math.min(target, firstUse.get(source) ?? Infinity));
  }
  const waiting = new Map<number, number[]>(); // leaves, by the node that uses them first
  const leaves = nodes.filter((n) => isLeaf(n) && isShown(n));
  const bare = leaves.filter((n) => n.path !== "" && !/[[.]/.test(n.path));
  const alone = new Set(bare.length <= BARE ? bare : []);
  for (const n of leaves) {
    const user = firstUse.get(n.id);
    if (alone.has(n) || user === undefined) root.children.push(n.id);
    else waiting.set(user, [...(waiting.get(user) ?? []), n.id]);
  }
  const seen = new Map<string, number>();
  let open = [root];
  let before: string[] = [];
  for (const [n, place] of placed(explanation)) {
    let depth = 0;
    while (depth < place.length && place[depth] === before[depth]) depth++;
    open = open.slice(0, depth + 1);
    before = place;
    for (; depth < place.length; depth++) {
      const path = place.slice(0, depth + 1);
      const times = (seen.get(JSON.stringify(path)) ?? 0) + 1;
      seen.set(JSON.stringify(path), times);
      const inner = group(times === 1 ? place[depth]! : `${place[depth]} (${times})`, path, open[depth]!);
      open[depth]!.children.push(inner);
      open.push(inner);
    }
    open.at(-1)!.children.push(...(waiting.get(n.id) ?? []), n.id);
  }
  return root;
}

const group = (name: string, place: string[], parent: Group | null): Group => ({ id: 0, name, place, parent, children: [], members: [] });

/** Every computed node with its scope, or the layer whose parameters were used last, as a path. */
function* placed({ nodes, edges }: Explanation): Generator<[NodeData, string[]]> {
  const inputs = new Map<number, number[]>();
  for (const { source, target } of edges) inputs.set(target, [...(inputs.get(target) ?? []), source]);
  const scopes = new Set(nodes.map((n) => n.scope));
  let owner = "";
  for (const n of nodes) {
    if (isLeaf(n)) continue;
    if (n.scope) owner = "";
    else {
      for (const k of inputs.get(n.id) ?? []) owner = ownerOf(nodes[k]!.path) || owner;
    }
    yield [n, n.scope ? n.scope.split("/") : scopes.has(owner) ? [] : prefixes(owner)];
  }
}

/** The layer that a leaf belongs to: "layers[3]" of "layers[3]['W']"; nothing for "w[3]". */
const ownerOf = (path: string): string => /^(.*\])\[[^[]*\]$/.exec(path)?.[1] ?? "";

/** "w[0][1]" as "w[0]" and "w[0][1]". */
const prefixes = (owner: string): string[] => [...owner.matchAll(/\]/g)].map(({ index }) => owner.slice(0, index + 1));

/** Groups of one child become that child, groups of many are cut into stretches. */
function tidy(g: Group, nodes: NodeData[], children: number): void {
  for (const child of g.children) if (isGroup(child)) tidy(child, nodes, children);
  g.children = g.children.map((c) => (isGroup(c) && c.children.length === 1 ? c.children[0]! : c));
  const only = g.children.filter(isGroup);
  if (only.length === 1 && only[0]!.children.length > 0.8 * count(g)) {
    // A group that holds nearly everything says nothing
    g.children = g.children.flatMap((c) => (c === only[0] ? only[0].children : [c]));
  }
  if (g.children.length > children) {
    const pieces = Math.min(children, Math.ceil(Math.sqrt(g.children.length)));
    const size = Math.ceil(g.children.length / pieces);
    const named = (c: Item) => (isGroup(c) ? c.name : nodes[c]!.name);
    g.children = Array.from({ length: pieces }, (_, k) => {
      const piece = group("", g.place, g);
      piece.children = g.children.slice(k * size, (k + 1) * size);
      piece.name = `${named(piece.children[0]!)} … ${named(piece.children.at(-1)!)}`;
      return piece;
    });
    for (const piece of g.children) if (isGroup(piece)) tidy(piece, nodes, children);
  }
}

const count = (g: Group): number => g.children.reduce<number>((sum, c) => sum + (isGroup(c) ? count(c) : 1), 0);

function number(g: Group, ids: { next: number }): void {
  g.id = ids.next++;
  for (const child of g.children) {
    if (isGroup(child)) {
      child.parent = g;
      number(child, ids);
      g.members.push(...child.members);
    } else g.members.push(child);
  }
}

/** Which groups are open, and what is therefore in view. */
export class Openness {
  private readonly open = new Set<Group>(); // least recently opened first
  private readonly home = new Map<number, Group>();

  constructor(readonly root: Group) {
    const walk = (g: Group): void => {
      for (const child of g.children) {
        if (isGroup(child)) walk(child);
        else this.home.set(child, g);
      }
    };
    walk(root);
    if (root.members.length <= FIRST) this.openAll();
    for (let level = root.children.filter(isGroup); this.view().boxes.length < FEW && level.length > 0; ) {
      if (level.reduce((sum, g) => sum + g.children.length, 0) > FIRST) break;
      this.show(level);
      level = level.flatMap((g) => g.children).filter(isGroup);
    }
  }

  isOpen(g: Group): boolean {
    return g === this.root || this.open.has(g);
  }

  homeOf(item: Item): Group | null {
    return isGroup(item) ? item.parent : (this.home.get(item) ?? null);
  }

  /** Groups around an item, outermost first, without the root. */
  around(item: Item): Group[] {
    const found: Group[] = [];
    for (let g = this.homeOf(item); g && g !== this.root; g = g.parent) found.unshift(g);
    return found;
  }

  /** The box that stands for an item: itself, or the outermost closed group around it. */
  boxOf(item: Item): Item {
    return this.around(item).find((g) => !this.open.has(g)) ?? item;
  }

  /** Items in view: boxes, and the groups that frame them. */
  view(): { boxes: Item[]; frames: Group[] } {
    const boxes: Item[] = [];
    const frames: Group[] = [];
    const walk = (g: Group): void => {
      for (const child of g.children) {
        if (isGroup(child) && this.open.has(child)) {
          frames.push(child);
          walk(child);
        } else boxes.push(child);
      }
    };
    walk(this.root);
    return { boxes, frames };
  }

  /** Open groups, closing those opened longest ago where there would be too many boxes. The closed ones are returned. */
  show(groups: Group[]): Group[] {
    const keep = new Set(groups.flatMap((g) => [...this.around(g), g]));
    for (const g of keep) {
      this.open.delete(g);
      this.open.add(g);
    }
    const closed: Group[] = [];
    for (const g of [...this.open]) {
      if (this.view().boxes.length <= LIMIT) break;
      if (keep.has(g)) continue;
      this.open.delete(g);
      closed.push(g);
    }
    return closed;
  }

  close(g: Group): void {
    this.open.delete(g);
  }

  closeAll(): void {
    this.open.clear();
  }

  /** Open all groups, outer ones first, as far as the limit allows. How many stay closed is returned. */
  openAll(): number {
    let boxes = this.view().boxes.length;
    let closed = 0;
    let level = this.root.children.filter(isGroup);
    while (level.length > 0) {
      const next: Group[] = [];
      for (const g of level) {
        const more = this.open.has(g) ? 0 : g.children.length - 1;
        if (boxes + more > LIMIT) {
          closed++;
          continue;
        }
        boxes += more;
        this.open.add(g);
        next.push(...g.children.filter(isGroup));
      }
      level = next;
    }
    return closed;
  }
}
