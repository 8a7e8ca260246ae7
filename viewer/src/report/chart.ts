import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { h } from "../dom";
import { type Maybe, percent, text } from "./data";
import { recall, remember } from "./memory";

export interface Line {
  label: string;
  values: Maybe[];
}

/** Which lines are shown, by label, and the charts that follow. */
export class Visible {
  private readonly hidden: Set<string>;
  private readonly charts: (() => void)[] = [];

  constructor(private readonly name: string) {
    this.hidden = new Set(recall<string[]>(`hidden ${name}`, []));
  }

  has(label: string): boolean {
    return !this.hidden.has(label);
  }

  /** Show or hide one line; alone, hide all others, or bring them back. */
  toggle(label: string, alone: boolean, among: string[]): void {
    if (alone) {
      const back = this.has(label) && among.every((other) => other === label || !this.has(other));
      for (const other of among) this.set(other, back || other === label);
    } else this.set(label, !this.has(label));
    remember(`hidden ${this.name}`, [...this.hidden]);
    for (const update of this.charts) update();
  }

  follow(update: () => void): void {
    this.charts.push(update);
  }

  private set(label: string, shown: boolean): void {
    if (shown) this.hidden.delete(label);
    else this.hidden.add(label);
  }
}

export interface Chart {
  element: HTMLElement;
  /** draw anew, in the colours of the theme */
  draw(): void;
  setLog(on: boolean): void;
}

interface Spec {
  title: string;
  note?: string;
  epochs: number[];
  lines: Line[];
  /** whether a logarithmic axis suits, where values span more than half a decade */
  log: boolean;
  visible: Visible;
  /** values where a line across the chart is drawn */
  marks?: number[];
  /** the epoch whose model is kept; 0 for none */
  best?: number;
  /** whether values are shares, from 0 to 1 */
  share?: boolean;
}

const HEIGHT = 200;
const WHOLE = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5].map((power) => n * 10 ** power)).sort((a, b) => a - b);
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const HUES = 7; // --line-1 and so on, in report.css

/** Of a line among others: hues while they last, then one ramp from the first to the last. */
export function stroke(k: number, count: number): { colour: string; dash: number[] } {
  if (count <= HUES) return { colour: style(`--line-${k + 1}`), dash: DASHES[Math.floor(k / 3)] ?? [] };
  const share = (100 * k) / (count - 1);
  const ends = share < 50 ? ["--ramp-1", "--ramp-2", 2 * share] : ["--ramp-2", "--ramp-3", 2 * share - 100];
  const mixed = `color-mix(in oklab, ${style(String(ends[1]))} ${ends[2]}%, ${style(String(ends[0]))})`;
  return { colour: mixed, dash: DASHES[k % 3] ?? [] };
}

function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function wide(values: number[]): boolean {
  const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, 0]);
  return most > 3 * least;
}

function fromZero(_: uPlot, _least: Maybe, most: Maybe): [number, number] {
  return [0, Math.min(1, Math.max(0.1, 1.15 * (most ?? 0)))];
}

export function chart(spec: Spec): Chart {
  const { title, epochs, lines, visible } = spec;
  const format = spec.share ? percent : text;
  const labels = lines.map((line) => line.label);
  const positive = lines.flatMap((line) => line.values.filter((v) => v !== null && v > 0)) as number[];
  const possible = positive.length > 0;
  let log = possible && recall(`log ${title}`, spec.log && wide(positive));
  let plot: uPlot | null = null;

  const place = h("div", { class: "plot", role: "img" });
  const scale = h("button", { class: "scale", "aria-pressed": String(log), title: "logarithmic axis" }, "log");
  scale.addEventListener("click", () => made.setLog(!log));
  const entries = lines.map((line) => {
    const value = h("span", { class: "reading" });
    const swatch = h("span", { class: "swatch" });
    const button = h(
      "button",
      { class: "entry", title: "click: show or hide; with Shift: this one alone" },
      swatch,
      h("span", { class: "label" }, line.label.replaceAll("_", " ")),
      value,
    );
    button.addEventListener("click", (event) => visible.toggle(line.label, event.shiftKey, labels));
    return { button, value, swatch };
  });
  entries.forEach(({ button }, k) => {
    button.addEventListener("mouseenter", () => focus(visible.has(labels[k]!) ? k + 1 : null));
    button.addEventListener("mouseleave", () => focus(null));
    button.addEventListener("click", () => focus(visible.has(labels[k]!) ? k + 1 : null));
  });
  const legend = h("div", { class: "legend", role: "group", "aria-label": `lines of ${title}` });
  legend.append(...entries.map((e) => e.button));
  const element = h(
    "figure",
    { class: "card chart" },
    h("figcaption", {}, h("span", { class: "name" }, title), h("span", { class: "at" }), possible ? scale : null),
    spec.note ? h("p", { class: "note" }, spec.note) : null,
    place,
    legend,
  );
  const at = element.querySelector<HTMLElement>(".at")!;

  /** One line in full colour, or all. */
  function focus(line: number | null): void {
    plot?.setSeries(line as number, { focus: line !== null });
  }

  function read(index: number | null | undefined): void {
    const k = index ?? epochs.length - 1;
    at.textContent = index === null || index === undefined || !epochs.length ? "" : `epoch ${epochs[k]}`;
    lines.forEach((line, i) => (entries[i]!.value.textContent = format(line.values[k])));
  }

  function marked(u: uPlot): void {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = style("--muted");
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    const across = (x1: number, y1: number, x2: number, y2: number): void => {
      if (x1 < bbox.left || x2 > bbox.left + bbox.width || y1 < bbox.top || y2 > bbox.top + bbox.height) return;
      ctx.beginPath();
      ctx.moveTo(x1, y1);
      ctx.lineTo(x2, y2);
      ctx.stroke();
    };
    for (const mark of spec.marks ?? []) {
      const y = u.valToPos(mark, "y", true);
      across(bbox.left, y, bbox.left + bbox.width, y);
    }
    if (spec.best) {
      const x = u.valToPos(spec.best, "x", true);
      across(x, bbox.top, x, bbox.top + bbox.height);
    }
    ctx.restore();
  }

  function draw(): void {
    plot?.destroy();
    const ink = style("--muted");
    const grid = { stroke: style("--soft"), width: 1 };
    const strokes = lines.map((_, k) => stroke(k, lines.length));
    plot = new uPlot(
      {
        width: Math.max(place.clientWidth, 200),
        height: HEIGHT,
        legend: { show: false },
        focus: { alpha: 0.2 },
        cursor: { sync: { key: "epochs" }, focus: { prox: 1e6 }, points: { size: 7 } },
        scales: { x: { time: false }, y: log ? { distr: 3 } : spec.share ? { range: fromZero } : {} },
        axes: [
          { stroke: ink, grid, ticks: { show: false }, incrs: WHOLE, size: 30 },
          {
            stroke: ink,
            grid,
            ticks: { show: false },
            size: 54,
            values: (_, ticks) => ticks.map((v: Maybe) => (v === null ? "" : spec.share ? percent(v) : text(v, 3))),
          },
        ],
        series: [
          {},
          ...lines.map((line, k) => ({
            label: line.label,
            stroke: strokes[k]!.colour,
            dash: strokes[k]!.dash,
            width: 2,
            points: { show: epochs.length < 3 },
            show: visible.has(line.label),
          })),
        ],
        hooks: { setCursor: [(u) => read(u.cursor.idx)], drawClear: [marked] },
      },
      [epochs, ...lines.map((line) => (log ? line.values.map((v) => (v !== null && v > 0 ? v : null)) : line.values))],
      place,
    );
    entries.forEach(({ swatch }, k) => swatch.style.setProperty("--colour", strokes[k]!.colour));
    entries.forEach(({ swatch }, k) => swatch.classList.toggle("dashed", strokes[k]!.dash.length > 0));
    read(null);
    update();
  }

  function update(): void {
    entries.forEach(({ button }, k) => {
      const shown = visible.has(labels[k]!);
      button.setAttribute("aria-pressed", String(shown));
      if (plot?.series[k + 1]?.show !== shown) plot?.setSeries(k + 1, { show: shown });
    });
    const last = lines.map((line) => `${line.label} ${format(line.values.at(-1))}`);
    place.setAttribute("aria-label", `${title} over epochs; at the end ${last.join(", ")}`);
  }

  const made: Chart = {
    element,
    draw,
    setLog(on) {
      if (!possible || on === log) return;
      log = on;
      remember(`log ${title}`, log);
      scale.setAttribute("aria-pressed", String(log));
      draw();
    },
  };
  visible.follow(update);
  new ResizeObserver(() => {
    if (plot && plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  }).observe(place);
  return made;
}
