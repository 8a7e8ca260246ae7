import type { Explanation, Step } from "../explanation";
import { h, svg } from "../dom";
import { toggleTheme } from "../theme";
import { type Box, written } from "./box";
import { Camera } from "./camera";
import { type Binding, help, listen } from "./keys";
import { Minimap } from "./minimap";
import { closedFor, Scene } from "./scene";
import { Search } from "./search";
import "./stage.css";
import { Timeline } from "./timeline";
import { grow, isGroup, isLeaf, type Item, keyOf, LIMIT, Openness } from "./tree";

const LEGIBLE = 0.85; // the smallest scale of the first view
// Of the buttons below; not every system has letters for them
const ICONS = {
  start: "M2 2h2v10H2zM12 2v10L5 7z",
  back: "M11 2v10L3 7z",
  play: "M3 1v12l9-6z",
  pause: "M3 2h3v10H3zM8 2h3v10H8z",
  step: "M3 2v10l8-5z",
  end: "M10 2h2v10h-2zM2 2v10l7-5z",
};
// Milliseconds: of playing all steps, and of one step
const PATIENCE = 40_000;
const QUICKEST = 40;
const SLOWEST = 800;

/** The graph, the walk through it, and their controls; `onShow` hears which node is selected at which step. */
export function mountStage(
  app: HTMLElement,
  panel: HTMLElement,
  explanation: Explanation,
  onShow: (node: number, step: Step) => void,
): void {
  new Stage(app, panel, explanation, onShow);
}

class Stage {
  private readonly timeline: Timeline;
  private readonly openness: Openness;
  private readonly scene: Scene;
  private readonly camera: Camera;
  private readonly minimap: Minimap;
  private readonly search: Search;
  private readonly help: HTMLDialogElement;
  private readonly window = h("main", { class: "stage", "aria-label": "Computation graph" });
  private readonly world = h("div", { class: "world" });
  private readonly toast = h("p", { class: "toast", role: "status" });
  private readonly field = h("input", {
    type: "search",
    placeholder: "Search  /",
    "aria-label": "Search by name, op, formula or line",
    spellcheck: "false",
  });
  private readonly count = h("output", { class: "count", "aria-live": "polite" });
  private readonly slider = h("input", { type: "range", min: 0, step: 1, class: "slider", "aria-label": "Step" });
  private readonly playing = h("button", { type: "button", class: "play" });
  private readonly said = h("output", { class: "said", "aria-live": "polite" });
  private at: number;
  private selected: number;
  private hits: number[] = [];
  private hit = -1; // none yet of this query
  private resting = true; // until the first step
  private timer = 0;
  private fading = 0;

  constructor(
    app: HTMLElement,
    panel: HTMLElement,
    private readonly explanation: Explanation,
    private readonly onShow: (node: number, step: Step) => void,
  ) {
    this.timeline = new Timeline(explanation);
    this.at = this.timeline.length;
    this.selected = explanation.output;
    this.openness = new Openness(grow(explanation));
    this.scene = new Scene(this.world, explanation, this.openness);
    this.search = new Search(explanation);
    this.minimap = new Minimap(() => this.camera);
    this.camera = new Camera(this.window, this.world, () => this.minimap.follow());
    const bindings = this.bindings();
    this.help = help(bindings);
    this.window.append(this.world, this.minimap.element, this.toast);
    app.append(this.head(), this.window, panel, this.foot(), this.help);
    this.listen();
    listen(bindings, panel);
    this.build();
    this.camera.fit(this.scene.placed, LEGIBLE);
    new ResizeObserver(() => this.minimap.draw(this.scene.placed, this.scene.boxes.keys())).observe(this.window);
  }

  private head(): HTMLElement {
    const { nodes, output, parameters } = this.explanation;
    const button = (label: string, title: string, act: () => void) =>
      h("button", { type: "button", title, "aria-label": title, click: act }, label);
    const grouped = this.openness.root.children.some(isGroup);
    return h(
      "header",
      { class: "bar" },
      h("h1", {}, `${nodes[output]!.name} = `, h("span", { class: "value" }, written(nodes[output]!.value))),
      h("span", { class: "muted" }, `${several(nodes.length, "node")}, ${several(parameters.length, "parameter")}`),
      h("span", { class: "legend" }, h("span", { class: "value" }, "↓ value"), h("span", { class: "grad" }, "↑ gradient")),
      h("search", {}, this.field, this.count),
      h(
        "span",
        { class: "buttons" },
        grouped ? button("Open all", "Open all groups (E)", () => this.openAll()) : null,
        grouped ? button("Close all", "Close all groups (C)", () => this.closeAll()) : null,
        button("−", "Zoom out (-)", () => this.camera.zoom(1 / 1.25, undefined, true)),
        button("Fit", "Show all (0)", () => this.fit()),
        button("+", "Zoom in (+)", () => this.camera.zoom(1.25, undefined, true)),
        button("◐", "Dark or light (d)", toggleTheme),
        button("?", "Help (?)", () => this.help.showModal()),
      ),
    );
  }

  private foot(): HTMLElement {
    const button = (name: keyof typeof ICONS, title: string, act: () => void) =>
      h("button", { type: "button", title, "aria-label": title, click: act }, icon(name));
    this.slider.max = String(this.timeline.length);
    this.slider.style.setProperty("--turn", `${(100 * this.timeline.forward.length) / this.timeline.length}%`);
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.playing.addEventListener("click", () => this.play());
    return h(
      "footer",
      { class: "steps" },
      h(
        "span",
        { class: "buttons" },
        button("start", "To the start (Home)", () => this.go(0)),
        button("back", "Step back (p)", () => this.go(this.at - 1)),
        this.playing,
        button("step", "Step (n)", () => this.go(this.at + 1)),
        button("end", "To the end (End)", () => this.go(this.timeline.length)),
      ),
      this.slider,
      this.said,
    );
  }

  private bindings(): Binding[] {
    const key = (keys: string[], shown: string, does: string, act: (key: string) => void): Binding => ({ keys, shown, does, act });
    return [
      key(["n"], "n", "step: the next value, then the next gradient", () => this.go(this.at + 1)),
      key(["p"], "p", "step back", () => this.go(this.at - 1)),
      key([" "], "space", "play and pause", () => this.play()),
      key(["Home", "End"], "Home End", "to the start, to the end", (k) => this.go(k === "Home" ? 0 : this.timeline.length)),
      key(["ArrowUp", "ArrowDown"], "↑ ↓", "to what the node is made from, to what is made from it", (k) => this.along(k === "ArrowUp")),
      key(["ArrowLeft", "ArrowRight"], "← →", "to the box beside", (k) => this.beside(k === "ArrowLeft" ? -1 : 1)),
      key(["e"], "e", "open the group, or close the one around the node", () => this.toggle(true)),
      key(["Enter"], "Enter", "open the group", () => this.toggle(false)),
      key(["E", "C"], "E C", "open all groups, close all", (k) => (k === "E" ? this.openAll() : this.closeAll())),
      key(["/"], "/", "search; Enter goes to the next hit, Shift+Enter to the one before", () => this.field.select()),
      key(["+", "="], "+", "zoom in", () => this.camera.zoom(1.25, undefined, true)),
      key(["-"], "-", "zoom out", () => this.camera.zoom(1 / 1.25, undefined, true)),
      key(["0"], "0", "show all", () => this.fit()),
      key(["d"], "d", "dark or light", toggleTheme),
      key(["?"], "?", "this help", () => this.help.showModal()),
    ];
  }

  private listen(): void {
    const keyAt = (event: Event) => (event.target as Element).closest<HTMLElement>("[data-key]");
    this.window.addEventListener("click", (event) => {
      const at = keyAt(event);
      if (!at || this.camera.dragged) return;
      const box = this.scene.boxes.get(at.dataset["key"]!);
      if (box) this.select(box.node.id, true);
      else if ((event.target as Element).closest("button")) this.close(at.dataset["key"]!);
    });
    this.window.addEventListener("dblclick", (event) => {
      const box = this.scene.boxes.get(keyAt(event)?.dataset["key"] ?? "");
      if (box && isGroup(box.item)) this.open(box.item);
    });
    this.window.addEventListener("focusin", (event) => {
      const box = this.scene.boxes.get(keyAt(event)?.dataset["key"] ?? "");
      // By the keyboard: under a pointer nothing may move
      if (box?.element.matches(":focus-visible")) this.camera.reveal(this.scene.placeOf(box));
    });
    this.field.addEventListener("input", () => this.find());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.nextHit(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.focus();
    });
    document.addEventListener("glassgrad:select", (event) => this.choose((event as CustomEvent<number>).detail));
  }

  /** Lay out again; the upper side of a box or frame, by its key, stays where it is on the screen. */
  private build(still?: string): void {
    const top = () => {
      const at = this.scene.placed.places.get(still ?? "");
      return at && { x: at.x, y: at.y - at.height / 2 };
    };
    const before = top();
    this.scene.build();
    this.minimap.draw(this.scene.placed, this.scene.boxes.keys());
    const after = top();
    if (before && after) this.camera.pan((before.x - after.x) * this.camera.scale, (before.y - after.y) * this.camera.scale);
    this.render();
  }

  private render(): void {
    const step = this.timeline.step(this.at);
    this.scene.update(step, this.selected, new Set(this.hits), this.resting);
    this.slider.value = String(this.at);
    const node = step.node === null ? undefined : this.explanation.nodes[step.node]!;
    const shown = node && written(step.phase === "forward" ? node.value : node.grad);
    const kind = step.phase === "forward" ? "value" : "grad";
    this.said.replaceChildren(
      h("b", { class: step.phase === "start" ? "" : kind }, { start: "inputs", forward: "↓ forward", backward: "↑ backward" }[step.phase]),
      ` ${this.at} / ${this.timeline.length} `,
      h("span", { class: "now" }, node ? (step.phase === "forward" ? `${node.name} = ` : `∂C/∂${node.name} = `) : ""),
      h("span", { class: `now ${kind}` }, shown ?? ""),
    );
    this.slider.setAttribute("aria-valuetext", this.said.textContent!);
    this.playing.replaceChildren(icon(this.timer ? "pause" : "play"));
    this.playing.title = this.timer ? "Pause (space)" : "Play (space)";
    this.playing.setAttribute("aria-label", this.playing.title);
    this.onShow(this.selected, step);
  }

  private go(at: number): void {
    this.at = Math.max(0, Math.min(this.timeline.length, at));
    this.resting = false;
    this.selected = this.timeline.step(this.at).node ?? this.selected;
    this.render();
    this.reveal();
  }

  private play(): void {
    if (this.timer) {
      this.pause();
      return;
    }
    const { length } = this.timeline;
    const stride = Math.ceil((length * QUICKEST) / PATIENCE);
    const pause = Math.max(QUICKEST, Math.min(SLOWEST, PATIENCE / length));
    const next = (): void => {
      if (this.at === length) {
        this.pause();
        return;
      }
      this.timer = window.setTimeout(next, pause);
      this.go(this.at + stride);
    };
    if (this.at === length) this.at = 0;
    next();
  }

  private pause(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.render();
  }

  private select(node: number, focus = false): void {
    this.selected = node;
    this.render();
    this.reveal();
    if (focus) this.focus();
  }

  /** Select a node wherever it is: groups around it open. */
  private choose(node: number): void {
    const around = this.openness.around(node);
    this.selected = node;
    if (around.some((g) => !this.openness.isOpen(g))) {
      const closed = this.openness.show(around);
      this.build();
      this.say(closedFor(closed));
    }
    this.select(node);
  }

  private focus(): void {
    this.scene.boxOf(this.selected)?.element.focus({ preventScroll: true });
  }

  private reveal(): void {
    const box = this.scene.boxOf(this.selected);
    if (box) this.camera.reveal(this.scene.placeOf(box));
  }

  private along(up: boolean): void {
    const from = this.scene.boxOf(this.selected);
    if (from) this.nearest(from, this.scene.neighbours(from, up), (dx) => Math.abs(dx));
  }

  private beside(direction: number): void {
    const from = this.scene.boxOf(this.selected);
    if (!from) return;
    const there = [...this.scene.boxes.values()].filter(
      (box) => (this.scene.placeOf(box).x - this.scene.placeOf(from).x) * direction > 1,
    );
    this.nearest(from, there, (dx, dy) => Math.abs(dx) + 4 * Math.abs(dy));
  }

  private nearest(from: Box, among: Box[], distance: (dx: number, dy: number) => number): void {
    const at = this.scene.placeOf(from);
    const far = (box: Box) => distance(this.scene.placeOf(box).x - at.x, this.scene.placeOf(box).y - at.y);
    const found = among.reduce<Box | null>((best, box) => (best && far(best) <= far(box) ? best : box), null);
    if (found) this.select(found.node.id, true);
  }

  /** Open the selected group, or close the one around the selected node. */
  private toggle(closes: boolean): void {
    const box = this.scene.boxOf(this.selected);
    if (box && isGroup(box.item)) this.open(box.item);
    else if (closes) {
      const around = this.openness.around(this.selected).at(-1);
      if (around) this.close(keyOf(around));
    }
  }

  private open(item: Item): void {
    if (!isGroup(item)) return;
    const closed = this.openness.show([item]);
    const { nodes } = this.explanation;
    this.selected = item.members.find((node) => !isLeaf(nodes[node]!)) ?? item.members[0]!;
    this.build(keyOf(item));
    this.reveal();
    this.focus();
    this.say(closedFor(closed));
  }

  private close(key: string): void {
    const found = this.openness.view().frames.find((g) => keyOf(g) === key);
    if (!found) return;
    this.openness.close(found);
    this.selected = found.members.at(-1)!;
    this.build(key);
    this.reveal();
    this.focus();
  }

  private openAll(): void {
    const left = this.openness.openAll();
    this.build(keyOf(this.openness.boxOf(this.selected)));
    this.say(left ? `${several(left, "group")} stay closed: at most ${LIMIT} boxes are drawn at once. Open one by e.` : "");
  }

  private closeAll(): void {
    this.openness.closeAll();
    this.build();
    this.fit();
  }

  private fit(): void {
    this.camera.fit(this.scene.placed, 0, true);
  }

  private find(): void {
    this.hits = this.search.find(this.field.value);
    this.hit = -1;
    this.count.textContent = this.field.value.trim() ? `${this.hits.length} found` : "";
    this.scene.update(this.timeline.step(this.at), this.selected, new Set(this.hits), this.resting);
  }

  private nextHit(by: number): void {
    if (this.hits.length === 0) return;
    const from = this.hit < 0 && by < 0 ? 0 : this.hit;
    this.hit = (from + by + this.hits.length) % this.hits.length;
    this.choose(this.hits[this.hit]!);
    this.count.textContent = `${this.hit + 1} of ${this.hits.length}`;
  }

  private say(text: string): void {
    if (!text) return;
    this.toast.textContent = text;
    this.toast.classList.add("shown");
    window.clearTimeout(this.fading);
    this.fading = window.setTimeout(() => this.toast.classList.remove("shown"), 6000);
  }
}

const icon = (name: keyof typeof ICONS): SVGElement =>
  svg("svg", { viewBox: "0 0 14 14", width: 14, height: 14, class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

const several = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
