import katex from "katex";
import { h } from "../dom";

/** What Python's chain rules are written with: values, gradients, ∂C/∂x, matrices. Only the first two may set a class. */
const MACROS = {
  "\\V": "\\htmlClass{value}{#1}",
  "\\G": "\\htmlClass{grad}{#1}",
  "\\D": "\\frac{\\partial C}{\\partial #1}",
  "\\B": "\\begin{bmatrix}",
  "\\E": "\\end{bmatrix}",
};

/** LaTeX, typeset; what cannot be is shown as it stands. */
export function math(latex: string, display = false): HTMLElement {
  const made = h(display ? "div" : "span", { class: display ? "math display" : "math" });
  try {
    katex.render(spaced(latex), made, {
      displayMode: display,
      throwOnError: false,
      strict: "ignore",
      trust: (context) => context.command === "\\htmlClass",
      macros: { ...MACROS },
      maxExpand: 10_000,
    });
  } catch {
    made.textContent = latex;
  }
  return made;
}

/** More room between the lines of a derivation, most below fractions. */
function spaced(latex: string): string {
  const lines = latex.split("\\\\\n");
  const last = lines.pop()!;
  return lines.map((line) => `${line}\\\\[${/\\frac|\\D/.test(line) ? 11 : 4}pt]\n`).join("") + last;
}
