import type { EdgeData, Explanation, Step } from "../explanation";
import { h, svg } from "../dom";
import { Box, written } from "./box";
import { curve, type Part, place, type Place, type Placed, type Point } from "./layout";
import { type Group, isGroup, isLeaf, isShown, type Item, keyOf, LIMIT, type Openness } from "./tree";

const DENSE = 150; // lines of which the single one can hardly be followed
const USES = 4; // of a leaf: the boxes of more are drawn where they are, whatever the leaf is used by

/** What several uses look like where both ends lie in boxes. */
interface Line {
  source: Box;
  target: Box;
  uses: EdgeData[];
  loose: boolean;
  route: Point[];
  path: SVGElement;
}

/** Boxes, frames of open groups, and lines between boxes, as they stand in the document. */
export class Scene {
  placed: Placed = { places: new Map(), routes: [], width: 0, height: 0 };
  boxes = new Map<string, Box>();
  private lines: Line[] = [];
  private readonly made = new Map<string, Box>();
  private readonly edges = svg("g");
  private readonly labels = svg("g");
  private readonly frames = h("div");
  private readonly above = h("div");

  constructor(
    world: HTMLElement,
    private readonly explanation: Explanation,
    private readonly openness: Openness,
  ) {
    const tip = (id: string) =>
      svg(
        "marker",
        { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
        svg("path", { d: "M0 0L8 4L0 8z" }),
      );
    const drawing = svg("svg", { class: "edges", "aria-hidden": "true" }, svg("defs", {}, tip("tip"), tip("tip-value"), tip("tip-grad")));
    drawing.append(this.edges, this.labels);
    world.append(this.frames, drawing, this.above);
  }

  /** Lay out what is open. */
  build(): void {
    const { boxes, frames } = this.openness.view();
    this.boxes = new Map(boxes.map((item) => [keyOf(item), this.box(item)]));
    this.connect();
    this.placed = place(
      this.parts(this.openness.root),
      this.lines.map((line) => ({ source: line.source.key, target: line.target.key, loose: line.loose })),
    );
    this.lines.forEach((line, k) => {
      line.route = this.placed.routes[k]!;
      line.path.setAttribute("d", curve(line.route));
    });
    this.edges.classList.toggle("dense", this.lines.length > DENSE);
    this.edges.replaceChildren(...this.lines.map((l) => l.path));
    this.frames.replaceChildren(
      ...frames.map((g) => {
        const at = this.placed.places.get(keyOf(g))!;
        const frame = h(
          "div",
          { class: "frame", "data-key": keyOf(g) },
          h("button", { type: "button", tabindex: -1, title: "collapse (e)", "aria-expanded": "true" }, g.name),
        );
        locate(frame, at);
        frame.style.width = `${at.width}px`;
        frame.style.height = `${at.height}px`;
        return frame;
      }),
    );
    for (const [key, box] of this.boxes) locate(box.element, this.placed.places.get(key)!);
    const kept = new Set([...this.boxes.values()].map((b) => b.element));
    for (const old of [...this.above.children]) if (!kept.has(old as HTMLElement)) old.remove();
    this.above.append(...[...kept].filter((e) => e.parentNode !== this.above));
  }

  /** Lines between the boxes in view. */
  private connect(): void {
    const owners = this.explanation.nodes.map((n) => (isShown(n) ? keyOf(this.openness.boxOf(n.id)) : ""));
    const found = new Map<string, Line>();
    for (const edge of this.explanation.edges) {
      const source = this.boxes.get(owners[edge.source]!);
      const target = this.boxes.get(owners[edge.target]!);
      if (!source || !target || source === target) continue;
      const key = `${source.key}>${target.key}`;
      const line = found.get(key) ?? { source, target, uses: [], loose: false, route: [], path: svg("path") };
      line.uses.push(edge);
      found.set(key, line);
    }
    this.lines = [...found.values()];
    const uses = new Map<Box, Line[]>();
    for (const line of this.lines) uses.set(line.source, [...(uses.get(line.source) ?? []), line]);
    for (const [box, lines] of uses) {
      if (isLeaf(box.node) && lines.length > USES) lines.slice(1).forEach((line) => (line.loose = true));
    }
  }

  private parts(group: Group): Part[] {
    return group.children.map((item) => {
      const key = keyOf(item);
      return isGroup(item) && this.openness.isOpen(item) ? { key, parts: this.parts(item) } : { key, size: this.boxes.get(key)!.size };
    });
  }

  boxOf(node: number): Box | undefined {
    return this.boxes.get(keyOf(this.openness.boxOf(node)));
  }

  placeOf(box: Box): Place {
    return this.placed.places.get(box.key)!;
  }

  /** What is known at a step, and unless it rests which box is at it and what carries to it. */
  update(step: Step, selected: number, hits: Set<number>, resting: boolean): void {
    const current = step.node === null || resting ? undefined : this.boxOf(step.node);
    const chosen = this.boxOf(selected);
    const marked = new Set([...hits].map((node) => this.boxOf(node)));
    for (const box of this.boxes.values()) {
      box.update(step, box === current ? this.explanation.nodes[step.node!]! : null);
      const { classList } = box.element;
      classList.toggle("at-value", box === current && step.phase === "forward");
      classList.toggle("at-grad", box === current && step.phase === "backward");
      classList.toggle("selected", box === chosen);
      classList.toggle("hit", marked.has(box));
      box.element.tabIndex = box === chosen ? 0 : -1;
    }
    this.labels.replaceChildren();
    for (const line of this.lines) {
      line.path.setAttribute("class", `edge${line.loose ? " loose" : ""}${line.source === chosen || line.target === chosen ? " near" : ""}`);
      if (!resting) this.carry(line, step);
    }
  }

  private carry(line: Line, step: Step): void {
    const forward = step.phase === "forward" && line.uses.some((u) => u.target === step.node);
    const backward = step.phase === "backward" ? line.uses.filter((u) => u.source === step.node && u.flows) : [];
    if (forward || backward.length) line.path.classList.add("carries", forward ? "value" : "grad");
    const given = backward.find((u) => u.contribution !== null);
    if (!given) return;
    const text = written(given.contribution);
    if (text.length > 14) return;
    const [a, b] = line.route.slice(0, 2) as [Point, Point];
    const label = svg("text", { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, class: "given" });
    label.textContent = text;
    this.labels.append(label);
  }

  /** Boxes at the other ends of lines: those it is made from, or those made from it. */
  neighbours(box: Box, up: boolean): Box[] {
    const found: Box[] = [];
    for (const { source, target } of this.lines) {
      if (up && target === box) found.push(source);
      if (!up && source === box) found.push(target);
    }
    return found;
  }

  private box(item: Item): Box {
    const key = keyOf(item);
    const box = this.made.get(key) ?? new Box(item, this.openness.homeOf(item)?.place.join("/") ?? "", this.explanation);
    this.made.set(key, box);
    return box;
  }
}

function locate(element: HTMLElement, at: Place): void {
  element.style.transform = `translate(${at.x - at.width / 2}px, ${at.y - at.height / 2}px)`;
}

/** What to say about groups that were closed because others were opened. */
export function closedFor(closed: Item[]): string {
  const names = closed.filter(isGroup).map((g) => g.name);
  const some = names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  return names.length ? `Closed ${some}: at most ${LIMIT} boxes are drawn at once.` : "";
}
