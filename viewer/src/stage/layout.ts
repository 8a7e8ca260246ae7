import { Graph, layout } from "@dagrejs/dagre";

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

/** Centre and size. */
export interface Place extends Size, Point {}

/** A box, or a frame around others. */
export type Part = { key: string; size: Size } | { key: string; parts: Part[] };

/** A line from box to box; a loose one is drawn, but the places of boxes do not depend on it. */
export interface Link {
  source: string;
  target: string;
  loose: boolean;
}

export interface Placed extends Size {
  places: Map<string, Place>;
  /** points of each link, in the order of the links */
  routes: Point[][];
}

const MARGIN = 28;
const PAD = { side: 16, top: 26, bottom: 18 }; // inside a frame

/**
 * From the top down, each frame by itself and then as one box of what is around it: that is fast, and compact.
 * Where a link crosses a frame it goes through a port, which is a point on the upper or lower side.
 */
export function place(parts: Part[], links: Link[]): Placed {
  const levels = new Level("", parts);
  const passed = links.map((link) => (link.loose ? [] : levels.through(link)));
  levels.arrange();
  const places = new Map<string, Place>();
  levels.settle({ x: MARGIN, y: MARGIN }, places);
  const routes = passed.map((legs) => legs.flatMap((leg) => leg()));
  spread(links, routes, places);
  return { places, routes, width: levels.size.width + 2 * MARGIN, height: levels.size.height + 2 * MARGIN };
}

/** What lies in one frame, and how it is laid out. */
class Level {
  size: Size = { width: 0, height: 0 };
  private corner: Point = { x: 0, y: 0 };
  private shift: Point = { x: 0, y: 0 };
  private readonly inner = new Map<string, Level>(); // frames in it
  private readonly home = new Map<string, string>(); // which part a box lies in, at any depth
  private readonly graph = new Graph();
  private readonly ports = new Set<string>();

  constructor(
    readonly key: string,
    private readonly parts: Part[],
  ) {
    for (const part of parts) {
      if (!("parts" in part)) {
        this.home.set(part.key, part.key);
        continue;
      }
      const level = new Level(part.key, part.parts);
      this.inner.set(part.key, level);
      for (const box of level.home.keys()) this.home.set(box, part.key);
    }
    this.graph.setDefaultEdgeLabel(() => ({}));
  }

  /** Give a link its way; what is returned are the points of its legs, for when all is settled. */
  through({ source, target }: Link): (() => Point[])[] {
    const from = this.home.get(source)!;
    const to = this.home.get(target)!;
    if (from === to) return this.inner.get(from)!.through({ source, target, loose: false });
    const before = this.inner.get(from)?.leave(source) ?? [];
    const after = this.inner.get(to)?.enter(source, target) ?? [];
    return [...before, this.leg(from, to), ...after];
  }

  private leave(source: string): (() => Point[])[] {
    const from = this.home.get(source)!;
    const port = this.port(`>${source}`);
    return [...(this.inner.get(from)?.leave(source) ?? []), this.leg(from, port), () => [this.at(port)]];
  }

  private enter(source: string, target: string): (() => Point[])[] {
    const to = this.home.get(target)!;
    const port = this.port(`<${source}`);
    return [() => [this.at(port)], this.leg(port, to), ...(this.inner.get(to)?.enter(source, target) ?? [])];
  }

  private port(key: string): string {
    this.ports.add(key);
    return key;
  }

  private leg(from: string, to: string): () => Point[] {
    this.graph.setEdge(from, to);
    return () =>
      (this.graph.edge(from, to).points as Point[]).slice(1, -1).map((p) => ({ x: p.x + this.corner.x, y: p.y + this.corner.y }));
  }

  arrange(): void {
    const { graph } = this;
    for (const level of this.inner.values()) level.arrange();
    for (const part of this.parts) {
      graph.setNode(part.key, { ...("parts" in part ? this.inner.get(part.key)!.size : part.size) });
    }
    for (const port of this.ports) graph.setNode(port, { width: 1, height: 1 });
    this.holdPorts();
    const dense = graph.edgeCount() > 3 * graph.nodeCount();
    graph.setGraph({ rankdir: "TB", nodesep: 20, edgesep: dense ? 2 : 12, ranksep: 44 });
    layout(graph);
    const places = this.parts.map((p) => graph.node(p.key) as Place);
    const xs = [
      ...places.flatMap((p) => [p.x - p.width / 2, p.x + p.width / 2]),
      ...[...this.ports].map((p) => graph.node(p).x as number),
      ...graph.edges().flatMap((e) => (e.v === ABOVE || e.w === BELOW ? [] : (graph.edge(e).points as Point[]).map((p) => p.x))),
    ];
    const ys = places.flatMap((p) => [p.y - p.height / 2, p.y + p.height / 2]);
    const pad = this.key ? PAD : { side: 0, top: 0, bottom: 0 };
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    this.shift = { x: pad.side - left, y: pad.top - top };
    this.size = {
      width: Math.max(...xs) - left + 2 * pad.side,
      height: Math.max(...ys) - top + pad.top + pad.bottom,
    };
  }

  /** Ports lie above or below all else in the frame. */
  private holdPorts(): void {
    if (this.ports.size === 0) return;
    const { graph } = this;
    const inside = this.parts.map((p) => p.key);
    const none = { width: 0, height: 0 };
    for (const [end, sign] of [[ABOVE, "<"], [BELOW, ">"]] as const) {
      const ports = [...this.ports].filter((p) => p.startsWith(sign));
      if (ports.length === 0) continue;
      graph.setNode(end, { ...none });
      const join = (key: string, weight: number) =>
        end === ABOVE ? graph.setEdge(end, key, { weight }) : graph.setEdge(key, end, { weight });
      for (const port of ports) join(port, 4);
      for (const key of inside) {
        const others = end === ABOVE ? graph.predecessors(key) : graph.successors(key);
        if (!others?.length) join(key, 0);
      }
    }
  }

  /** The places of everything, its corner being known. */
  settle(corner: Point, places: Map<string, Place>): void {
    this.corner = { x: corner.x + this.shift.x, y: corner.y + this.shift.y };
    const { width, height } = this.size;
    if (this.key) places.set(this.key, { x: corner.x + width / 2, y: corner.y + height / 2, width, height });
    for (const part of this.parts) {
      const at = this.graph.node(part.key) as Place;
      const centre = { x: at.x + this.corner.x, y: at.y + this.corner.y };
      const inner = this.inner.get(part.key);
      if (inner) inner.settle({ x: centre.x - at.width / 2, y: centre.y - at.height / 2 }, places);
      else places.set(part.key, { ...centre, width: at.width, height: at.height });
    }
  }

  private at(port: string): Point {
    const top = this.corner.y - this.shift.y;
    return { x: (this.graph.node(port).x as number) + this.corner.x, y: port.startsWith("<") ? top : top + this.size.height };
  }
}

const ABOVE = "^";
const BELOW = "_";

/** Ends of routes: on the lower side of the source and the upper side of the target, side by side. */
function spread(links: Link[], routes: Point[][], places: Map<string, Place>): void {
  for (const end of ["source", "target"] as const) {
    const meeting = new Map<string, number[]>();
    links.forEach((link, k) => meeting.set(link[end], [...(meeting.get(link[end]) ?? []), k]));
    for (const [key, ks] of meeting) {
      const { x, y, width, height } = places.get(key)!;
      const toward = (k: number) => {
        const next = end === "source" ? routes[k]![0] : routes[k]!.at(-1);
        return (next ?? places.get(links[k]![end === "source" ? "target" : "source"])!).x;
      };
      ks.sort((a, b) => toward(a) - toward(b));
      const gap = Math.min(26, (width * 0.7) / ks.length);
      ks.forEach((k, i) => {
        const point = { x: x + (i - (ks.length - 1) / 2) * gap, y: y + ((end === "source" ? 1 : -1) * height) / 2 };
        if (end === "source") routes[k]!.unshift(point);
        else routes[k]!.push(point);
      });
    }
  }
}

/** A smooth line along points, a cubic B-spline that begins and ends upright. */
export function curve(points: Point[]): string {
  const first = points[0]!;
  const last = points.at(-1)!;
  const reach = Math.min(18, Math.abs(last.y - first.y) / 3);
  const p = [first, first, { x: first.x, y: first.y + reach }, ...points.slice(1, -1), { x: last.x, y: last.y - reach }, last, last];
  const write = (x: number, y: number) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  const mix = (a: Point, b: Point, t: number) => write(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t);
  const knot = (a: Point, b: Point, c: Point) => write((a.x + 4 * b.x + c.x) / 6, (a.y + 4 * b.y + c.y) / 6);
  let path = `M${write(first.x, first.y)}L${knot(p[0]!, p[1]!, p[2]!)}`;
  for (let k = 1; k < p.length - 2; k++) {
    path += `C${mix(p[k]!, p[k + 1]!, 1 / 3)} ${mix(p[k]!, p[k + 1]!, 2 / 3)} ${knot(p[k]!, p[k + 1]!, p[k + 2]!)}`;
  }
  return `${path}L${write(last.x, last.y)}`;
}
