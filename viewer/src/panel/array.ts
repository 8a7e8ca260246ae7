import { h } from "../dom";
import type { ArrayData, Data, Scalar } from "../explanation";
import { colour, heat } from "./heat";
import { histogram } from "./histogram";
import { numeric, short, size, statistics, whole, type Statistics } from "./numbers";

const ACROSS = 5; // numbers of a vector in one line

/** A number, a table of numbers, or a heat map; with statistics and a histogram where there are several. */
export function arrayView(data: Data): HTMLElement {
  if (data === null) return h("p", { class: "none" }, "none");
  if ("parts" in data) {
    const parts = data.parts.map((p, k) => h("div", {}, h("h4", {}, `output ${k}`), arrayView(p)));
    return h("div", { class: "parts" }, ...parts);
  }
  const s = statistics(data);
  const count = data.shape.reduce((m, n) => m * n, 1);
  if (!count) return h("p", { class: "none" }, `empty: ${size(data.shape)} has no elements`);
  if (data.elements && !data.shape.length) return number(data.elements[0]!, data.dtype);
  if (!data.elements && s && s.min === s.max && s.nan + s.infinite === 0) return constant(data, s);
  return h(
    "div",
    { class: "array" },
    data.elements ? tables(data, data.elements, s) : s && heat(data, s),
    s ? histogram(data, s) : data.elements ? null : h("p", {}, data.text),
    s && summary(s),
  );
}

function number(v: Scalar, dtype: string): HTMLElement {
  return h("p", { class: odd(v) ? "number odd" : "number" }, whole(v, dtype));
}

function constant(a: ArrayData, s: Statistics): HTMLElement {
  return h("p", { class: "number" }, short(a.dtype === "bool" ? Boolean(s.min) : (s.min ?? 0)), h("small", {}, ` in each of ${size(a.shape)}`));
}

function odd(v: Scalar): boolean {
  return typeof v === "string" && !Number.isFinite(numeric(v)) && !v.includes("j");
}

/** Of three axes and more a table for each index of the leading ones. */
function tables(a: ArrayData, elements: Scalar[], s: Statistics | null): HTMLElement {
  const [wide, tall] = [a.shape.at(-1)!, a.shape.at(-2)];
  const most = s ? Math.max(Math.abs(s.min ?? 0), Math.abs(s.max ?? 0)) : 0;
  const cell = (v: Scalar) => {
    const made = h("td", { title: whole(v, a.dtype), class: odd(v) ? "odd" : "" }, short(v));
    const share = most ? numeric(v) / most : 0;
    if (Number.isFinite(share)) made.style.setProperty("--tint", tint(share));
    return made;
  };
  if (tall === undefined) {
    const lines = [];
    for (let k = 0; k < wide; k += ACROSS)
      lines.push(h("tr", {}, ...(wide > ACROSS ? [h("th", {}, `${k}`)] : []), ...elements.slice(k, k + ACROSS).map(cell)));
    return scroll(h("table", { class: "numbers" }, ...lines));
  }
  const found = h("div", { class: "slices" });
  const each = wide * tall;
  for (let start = 0; start < elements.length; start += each) {
    const rows = Array.from({ length: tall }, (_, i) =>
      h("tr", {}, h("th", {}, `${i}`), ...elements.slice(start + i * wide, start + (i + 1) * wide).map(cell)),
    );
    const head = h("tr", {}, h("th"), ...Array.from({ length: wide }, (_, j) => h("th", {}, `${j}`)));
    const table = h("table", { class: "numbers" }, head, ...rows);
    if (a.shape.length > 2) table.prepend(h("caption", {}, `[${leading(a.shape, start / each)}, :, :]`));
    found.append(table);
  }
  return scroll(found);
}

function leading(shape: number[], k: number): string {
  const index: number[] = [];
  for (const n of shape.slice(0, -2).reverse()) {
    index.unshift(k % n);
    k = Math.floor(k / n);
  }
  return index.join(", ");
}

/** The heat map's colour, so thin that numbers on it stay legible. */
function tint(share: number): string {
  return `color-mix(in srgb, ${colour(share)} 20%, transparent)`;
}

function scroll(inside: HTMLElement): HTMLElement {
  return h("div", { class: "scroll" }, inside);
}

function summary(s: Statistics): HTMLElement {
  const rows: [string, string][] = [];
  for (const key of ["min", "max", "mean", "std", "norm"] as const)
    if (s[key] !== undefined) rows.push([key, short(s[key])]);
  rows.push(["zeros", `${s.zeros} of ${s.count}`]);
  const cells = rows.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)));
  for (const [name, n] of [["NaN", s.nan], ["infinite", s.infinite]] as const)
    if (n) cells.push(h("div", { class: "odd" }, h("dt", {}, name), h("dd", {}, `${n} of ${s.count}`)));
  return h("dl", { class: "statistics" }, ...cells);
}
