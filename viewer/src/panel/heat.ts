import type { ArrayData, HeatMap } from "../explanation";
import { h } from "../dom";
import { short, size, type Statistics } from "./numbers";

/** Purple below 0, green above: apart for every kind of colour vision, and neither blue nor orange. */
const STOPS = {
  light: ["#4f1a78", "#a584be", "#f6f6f6", "#86c289", "#11622c"],
  dark: ["#dcb6f2", "#83599f", "#20262d", "#3c8a52", "#a5e8ac"],
};
const WIDTH = 340;
const HEIGHT = 260;
const LARGEST = 14; // pixels of a cell

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
  const tall = map.rows === 1 ? 28 : side;
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": description(a, s) });
  canvas.width = map.columns * side;
  canvas.height = map.rows * tall;
  const reading = h("output", { class: "reading", "aria-live": "polite" }, blocks(a, map));
  let [row, column] = [0, 0];
  const draw = () => {
    const pen = canvas.getContext("2d")!;
    cells.forEach((v, k) => paint(pen, v, (k % map.columns) * side, Math.floor(k / map.columns) * tall, side, tall));
  };
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
  draw();
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return h("div", { class: "heat" }, canvas, legend(map, s), reading);
}

function paint(pen: CanvasRenderingContext2D, v: number, x: number, y: number, wide: number, tall: number): void {
  const odd = !Number.isFinite(v);
  pen.fillStyle = odd ? getComputedStyle(document.documentElement).getPropertyValue("--bad") : colour(v);
  pen.fillRect(x, y, wide, tall);
  if (!odd || wide < 5) return;
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--surface");
  pen.beginPath(); // NaN is crossed out; infinities have their sign
  if (Number.isNaN(v)) pen.moveTo(x + 1, y + 1), pen.lineTo(x + wide - 1, y + tall - 1);
  else pen.moveTo(x + 1, y + tall / 2), pen.lineTo(x + wide - 1, y + tall / 2);
  if (Number.isNaN(v)) pen.moveTo(x + wide - 1, y + 1), pen.lineTo(x + 1, y + tall - 1);
  else if (v > 0) pen.moveTo(x + wide / 2, y + 1), pen.lineTo(x + wide / 2, y + tall - 1);
  pen.stroke();
}

function legend(map: HeatMap, s: Statistics): HTMLElement {
  const bar = h("span", { class: "bar" });
  const tint = () => {
    bar.style.background = `linear-gradient(to right, ${[-1, -0.5, 0, 0.5, 1].map(colour).join(", ")})`;
  };
  tint();
  new MutationObserver(tint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
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
