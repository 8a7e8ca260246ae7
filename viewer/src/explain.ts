import "./palette.css";
import "katex/dist/katex.min.css";
import { embedded } from "./embedded";
import type { Explanation } from "./explanation";
import { mountPanel } from "./panel/panel";
import { followSystem } from "./theme";

followSystem();
const explanation = embedded<Explanation>();
const panel = mountPanel(document.body, explanation);
panel.show(explanation.output, { at: 0, phase: "start", node: null, hasValue: () => true, hasGrad: () => true });
