import "./palette.css";
import { embedded } from "./embedded";
import { followSystem } from "./theme";

followSystem();
document.body.textContent = JSON.stringify(embedded<unknown>());
