import { h, svg } from "../dom";
import type { ArrayData } from "../explanation";
import { numeric, short, type Statistics } from "./numbers";

const WIDTH = 240;
const HEIGHT = 56;
const FEWEST = 17; // elements; fewer are seen at once

/** Bars from min to max, with a line at 0; null where there is nothing to see. */
export function histogram(a: ArrayData, s: Statistics): HTMLElement | null {
  const { min, max } = s;
  if (min === undefined || max === undefined || !(max > min)) return null;
  const counts = a.histogram ?? binned(a, min, max);
  if (!counts) return null;
  const most = Math.max(...counts);
  const step = WIDTH / counts.length;
  const bars = counts.map((n, k) => {
    const tall = n ? Math.max(1, (n / most) * HEIGHT) : 0;
    return `M${k * step} ${HEIGHT}v${-tall}h${step - 1}v${tall}z`;
  });
  const place = (-min / (max - min)) * WIDTH;
  const label = `Histogram of ${s.count} numbers from ${short(min)} to ${short(max)}; most in a bin: ${most}`;
  const drawn = svg("svg", { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 3}`, role: "img", "aria-label": label });
  drawn.append(svg("path", { d: bars.join(""), class: "bars" }));
  drawn.append(svg("path", { d: `M0 ${HEIGHT}H${WIDTH}`, class: "axis" }));
  const crosses = min < 0 && max > 0;
  if (crosses) drawn.append(svg("path", { d: `M${place} -2V${HEIGHT}`, class: "zero" }));
  const at = crosses ? zero(place) : null;
  const ends = h("div", { class: "ends" }, h("span", {}, short(min)), at, h("span", {}, short(max)));
  return h("div", { class: "histogram" }, drawn, ends);
}

function zero(place: number): HTMLElement | null {
  const share = place / WIDTH;
  if (share < 0.25 || share > 0.75) return null; // it would run into the ends
  const made = h("span", { class: "at" }, "0");
  made.style.left = `${100 * share}%`;
  return made;
}

function binned(a: ArrayData, min: number, max: number): number[] | null {
  const all = (a.elements ?? []).map(numeric).filter(Number.isFinite);
  if (all.length < FEWEST) return null;
  const counts = Array<number>(12).fill(0);
  for (const v of all) {
    const bin = Math.min(11, Math.floor(((v - min) / (max - min)) * 12));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}
