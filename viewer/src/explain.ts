import "./palette.css";
import "katex/dist/katex.min.css";
import { h } from "./dom";
import { embedded } from "./embedded";
import type { Explanation } from "./explanation";
import { mountPanel } from "./panel/panel";
import { mountStage } from "./stage/stage";
import { followSystem } from "./theme";

followSystem();
const explanation = embedded<Explanation>();
const side = h("aside", { class: "panel", "aria-label": "Selected node" });
const app = h("div", { class: "app" });
document.body.append(app);
const panel = mountPanel(side, explanation);
mountStage(app, side, explanation, (node, step) => panel.show(node, step));
