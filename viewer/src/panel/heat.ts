import { h } from "../dom";
import type { ArrayData, HeatMap } from "../explanation";
import { short, size, type Statistics } from "./numbers";

/** Purple below 0, green above: apart for every kind of colour vision, and neither blue nor orange. */
const STOPS = {
  light: ["#4f1a78", "#a584be", "#f6f6f6", "#86c289", "#11622c"],
  dark: ["#dcb6f2", "#83599f", "#20262d", "#3c8a52", "#a5e8ac"],
};
/** Strokes over what is not finite, in units of a cell. */
const CROSS = [[0.15, 0.15, 0.85, 0.85], [0.85, 0.15, 0.15, 0.85]];
const MINUS = [[0.15, 0.5, 0.85, 0.5]];
const PLUS = [...MINUS, [0.5, 0.15, 0.5, 0.85]];
const WIDTH = 340;
const HEIGHT = 260;
const LARGEST = 14; // pixels of a cell
const STRIP = 28; // of one that stands for a vector

/** The colour of a number from -1 to 1. */
export function colour(v: number): string {
  const stops = STOPS[document.documentElement.dataset["theme"] === "dark" ? "dark" : "light"];
  const at = (Math.max(-1, Math.min(1, v)) + 1) * 2;
  const k = Math.min(3, Math.floor(at));
  const [a, b] = [stops[k]!, stops[k + 1]!].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  const mixed = a!.map((x, i) => Math.round(x + (b![i]! - x) * (at - k)));
  return `rgb(${mixed.join(" ")})`;
}

/** A cell as a number: bytes 3 to 255 go from -scale to scale; 0 is NaN, 1 and 2 are the infinities. */
function decoded(map: HeatMap): number[] {
  const special = [NaN, -Infinity, Infinity];
  return Array.from(atob(map.cells), (c) => special[c.charCodeAt(0)] ?? (c.charCodeAt(0) - 129) / 126);
}

/** A canvas, a legend, and a reading of the cell under pointer or cursor keys. */
export function heat(a: ArrayData, s: Statistics): HTMLElement | null {
  const map = a.map;
  if (!map) return null;
  const cells = decoded(map);
  const side = Math.max(1, Math.min(LARGEST, Math.floor(WIDTH / map.columns), Math.floor(HEIGHT / map.rows)));
  const [wide, tall] = [map.columns === 1 ? STRIP : side, map.rows === 1 ? STRIP : side];
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": description(a, s) });
  canvas.width = map.columns * wide;
  canvas.height = map.rows * tall;
  const reading = h("output", { class: "reading", "aria-live": "polite" }, blocks(a, map));
  let [row, column] = [0, 0];
  paint(canvas, cells, map.columns, wide, tall);
  const read = () => {
    const v = cells[row * map.columns + column] ?? NaN;
    const shown = Number.isFinite(v) ? `≈ ${short(v * map.scale, 2)}` : `${v}`.replace("Infinity", "inf");
    reading.textContent = `${place(a, map, row, column)} ${shown}`;
  };
  canvas.addEventListener("pointermove", (e) => {
    const box = canvas.getBoundingClientRect();
    column = clamp(Math.floor(((e.clientX - box.left) / box.width) * map.columns), map.columns);
    row = clamp(Math.floor(((e.clientY - box.top) / box.height) * map.rows), map.rows);
    read();
  });
  canvas.addEventListener("keydown", (e) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
    if (!move) return;
    e.preventDefault();
    e.stopPropagation();
    row = clamp(row + move[0]!, map.rows);
    column = clamp(column + move[1]!, map.columns);
    read();
  });
  return h("div", { class: "heat" }, canvas, legend(map, s), reading);
}

function paint(canvas: HTMLCanvasElement, cells: number[], columns: number, wide: number, tall: number): void {
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(document.documentElement);
  const [bad, ink] = [style.getPropertyValue("--bad"), style.getPropertyValue("--surface")];
  cells.forEach((v, k) => {
    const [x, y] = [(k % columns) * wide, Math.floor(k / columns) * tall];
    pen.fillStyle = Number.isFinite(v) ? colour(v) : bad;
    pen.fillRect(x, y, wide, tall);
    if (Number.isFinite(v) || Math.min(wide, tall) < 5) return;
    pen.strokeStyle = ink;
    pen.beginPath();
    for (const [fromX, fromY, toX, toY] of Number.isNaN(v) ? CROSS : v > 0 ? PLUS : MINUS) {
      pen.moveTo(x + fromX! * wide, y + fromY! * tall);
      pen.lineTo(x + toX! * wide, y + toY! * tall);
    }
    pen.stroke();
  });
}

function legend(map: HeatMap, s: Statistics): HTMLElement {
  const bar = h("span", { class: "bar" });
  bar.style.background = `linear-gradient(to right, ${[-1, -0.5, 0, 0.5, 1].map(colour).join(", ")})`;
  const odd = [s.nan && `${s.nan} NaN`, s.infinite && `${s.infinite} infinite`].filter(Boolean).join(", ");
  return h(
    "div",
    { class: "legend" },
    ...(map.scale ? [h("span", {}, short(-map.scale, 3)), bar, h("span", {}, short(map.scale, 3))] : []),
    map.scale || s.nan + s.infinite === s.count ? null : "all others are 0",
    odd ? h("span", { class: "odd" }, h("i", { class: "swatch" }), odd) : null,
  );
}

/** How many elements a cell stands for, if several. */
function blocks(a: ArrayData, map: HeatMap): string {
  const wide = a.shape.at(-1) ?? 1;
  const tall = a.shape.slice(0, -1).reduce((m, n) => m * n, 1);
  if (wide === map.columns && tall === map.rows) return "point at a cell to read it";
  const about = [tall / map.rows, wide / map.columns].map((n) => short(n, 2)).join("×");
  return `a cell is the largest of about ${about} elements`;
}

function description(a: ArrayData, s: Statistics): string {
  const from = s.min === undefined ? "nothing finite" : `${short(s.min)} to ${short(s.max!)}`;
  return `Heat map of ${size(a.shape)} numbers, ${from}; ${s.nan} NaN, ${s.infinite} infinite. Cursor keys read cells.`;
}

/** Which elements a cell stands for. */
function place(a: ArrayData, map: HeatMap, row: number, column: number): string {
  const wide = a.shape.at(-1) ?? 1;
  const tall = a.shape.slice(0, -1).reduce((m, n) => m * n, 1);
  const across = range(column, map.columns, wide);
  return a.shape.length === 1 ? `[${across}]` : `[${leading(range(row, map.rows, tall), a)}${across}]`;
}

function range(k: number, cells: number, length: number): string {
  const first = Math.floor((k * length) / cells);
  const last = Math.floor(((k + 1) * length) / cells) - 1;
  return first >= last ? `${first}` : `${first}:${last + 1}`;
}

/** Leading axes are laid below each other: a row of the map as an index of each, or a range of rows. */
function leading(rows: string, a: ArrayData): string {
  if (a.shape.length === 2 || rows.includes(":")) return `${rows}, `;
  let rest = Number(rows);
  const index: number[] = [];
  for (const n of a.shape.slice(0, -1).reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `${index.join(", ")}, `;
}

function clamp(k: number, n: number): number {
  return Math.max(0, Math.min(n - 1, k));
}
