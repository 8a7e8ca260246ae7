import { h } from "../dom";
import type { Report } from "./data";
import { recall, remember } from "./memory";

const SECOND = 1000;

/** How training stands; while it runs the page loads itself again, unless it is paused or being used. */
export function status(report: Report, busy: () => boolean): HTMLElement {
  const done = report.history["loss"]?.length ?? 0;
  const pill = h("span", { class: `pill ${report.state}` }, words(report, done));
  const age = h("span", { class: "age" });
  const shown = h("div", { class: "status", role: "status" }, pill, age);
  if (report.state !== "running") return shown;

  let live = recall("live", true);
  const button = h("button", {
    class: "live",
    "aria-pressed": String(live),
    title: "load the page again as it is written (p)",
  });
  const name = () => (button.textContent = live ? "pause" : "follow");
  button.addEventListener("click", () => {
    live = !live;
    remember("live", live);
    button.setAttribute("aria-pressed", String(live));
    name();
  });
  name();
  shown.append(button);

  let used = 0; // when the reader last did something
  for (const kind of ["pointerdown", "keydown", "wheel"]) addEventListener(kind, () => (used = Date.now()), true);
  const loaded = Date.now();
  const effort = performance.now(); // milliseconds from the request to here
  setInterval(() => {
    const now = Date.now();
    const seconds = Math.max(0, now / SECOND - report.written);
    age.textContent = `written ${ago(seconds)} ago`;
    pill.classList.toggle("stale", seconds > 60);
    if (seconds > 60) age.textContent += "; interrupted?";
    // The longer nothing comes, the more seldom: a page of a killed training must not reload for ever
    const wait = Math.max(2 * SECOND, 5 * effort, (seconds / 4) * SECOND);
    const quiet = now - used > 3 * SECOND && !document.hidden && !busy();
    if (live && quiet && seconds < 3600 && now - loaded > wait) location.reload();
  }, SECOND / 2);
  return shown;
}

function words(report: Report, done: number): string {
  const of = `epoch ${done} of ${report.epochs}`;
  const stopped = done < report.epochs ? `stopped after ${of}` : `finished: ${done} epoch${done === 1 ? "" : "s"}`;
  return {
    running: `running: ${of}`,
    finished: stopped,
    interrupted: `interrupted after ${of}`,
    failed: `failed after ${of}`,
  }[report.state];
}

function ago(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
