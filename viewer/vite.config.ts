import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

// The faces that mathematics without calligraphy needs; all of KaTeX's would be half a megabyte.
const FACES = /KaTeX_(Main-Regular|Math-Italic|Size[1-4]-Regular)\.woff2/;

/** KaTeX's style with few faces, each in one format, which the build then inlines. */
function fewFonts(): Plugin {
  return {
    name: "few-fonts",
    enforce: "pre",
    transform(css, id) {
      if (!id.endsWith("katex.min.css")) return null;
      return css
        .replace(/@font-face\{[^}]*\}/g, (face) => (FACES.test(face) ? face : ""))
        .replace(/,url\([^)]*\) format\("(?:woff|truetype)"\)/g, "");
    },
  };
}

const INSIDE: Record<string, string[]> = {
  explain: ["katex", "@dagrejs/dagre", "@dagrejs/graphlib"],
  report: ["uplot"],
};

/** Whose work is inside, and the licence, which is the same for all: it has to stay with every copy. */
function notice(entry: string): string {
  const texts = INSIDE[entry]!.map((name) => readFileSync(`node_modules/${name}/LICENSE`, "utf8"));
  const owners = texts.map((text, k) => `${INSIDE[entry]![k]}: ${/^Copyright.*/m.exec(text)![0]}`);
  return `/*! This page contains\n${owners.join("\n")}\n\n${/Permission is[^]*/.exec(texts[0]!)![0].trim()}\n*/`;
}

/** One entry a run, as one script and one style that need nothing beside them: `vite build --mode explain`. */
export default defineConfig(({ mode: entry }) => ({
  plugins: [fewFonts()],
  build: {
    outDir: "../src/glassgrad/inspect/bundle",
    emptyOutDir: false,
    target: ["chrome111", "firefox113", "safari16.4"],
    rolldownOptions: { output: { postBanner: notice(entry) } },
    lib: {
      entry: `src/${entry}.ts`,
      name: "glassgrad",
      formats: ["iife"],
      fileName: () => `${entry}.js`,
      cssFileName: entry,
    },
  },
}));
