import type { ArrayData, Scalar } from "../explanation";
import { svg } from "../dom";

const WIDTH = 78;
const HEIGHT = 14;
const MOST = 39; // bars

/** An array at a glance: its elements as bars up and down, or the histogram of many. Null if there is neither. */
export function strip(data: ArrayData): SVGElement | null {
  const bars = data.elements ? elements(data.elements) : data.histogram;
  if (!bars?.length) return null;
  const most = Math.max(...bars.map(Math.abs)) || 1;
  const middle = data.elements ? HEIGHT / 2 : HEIGHT;
  const step = WIDTH / bars.length;
  const path = bars
    .map((v, k) => `M${(k * step).toFixed(2)} ${middle}v${((-v / most) * middle).toFixed(2)}h${(step * 0.8).toFixed(2)}V${middle}z`)
    .join("");
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: "strip", "aria-hidden": "true" },
    svg("path", { d: `M0 ${middle - 0.25}h${WIDTH}v.5H0z`, opacity: 0.4 }),
    svg("path", { d: path }),
  );
}

/** At most MOST numbers: of each stretch the one that is largest in size. */
function elements(values: Scalar[]): number[] {
  const numbers = values.map((v) => (Number.isFinite(Number(v)) ? Number(v) : 0));
  const each = Math.ceil(numbers.length / MOST);
  const bars: number[] = [];
  for (let k = 0; k < numbers.length; k += each) {
    bars.push(numbers.slice(k, k + each).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)));
  }
  return bars;
}
