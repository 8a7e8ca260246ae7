import { svg } from "../dom";
import type { Camera } from "./camera";
import type { Placed } from "./layout";

const SHARE = 0.16; // of the window, at most

/** The whole drawing, small, with the part in view; hidden while all is in view. */
export class Minimap {
  readonly element = svg("svg", { class: "minimap", "aria-hidden": "true" }) as SVGSVGElement;
  private readonly boxes = svg("path");
  private readonly view = svg("rect", { class: "view", rx: 2 });
  private size = { width: 1, height: 1 };

  constructor(private readonly camera: () => Camera) {
    this.element.append(this.boxes, this.view);
    const go = (event: PointerEvent) => {
      if (event.buttons !== 1) return;
      event.stopPropagation();
      this.element.setPointerCapture(event.pointerId);
      const frame = this.element.getBoundingClientRect();
      const at = camera();
      const x = ((event.clientX - frame.left) / frame.width) * this.size.width;
      const y = ((event.clientY - frame.top) / frame.height) * this.size.height;
      at.set(at.size.width / 2 - x * at.scale, at.size.height / 2 - y * at.scale, at.scale);
    };
    this.element.addEventListener("pointerdown", go);
    this.element.addEventListener("pointermove", go);
  }

  draw({ places, width, height }: Placed, boxes: Iterable<string>): void {
    this.size = { width, height };
    const { size } = this.camera();
    const scale = Math.min((SHARE * size.width) / width, (1.5 * SHARE * size.height) / height);
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.setAttribute("width", String(Math.max(14, width * scale)));
    this.element.setAttribute("height", String(Math.max(14, height * scale)));
    this.boxes.setAttribute(
      "d",
      [...boxes]
        .map((key) => places.get(key)!)
        .map((p) => `M${p.x - p.width / 2} ${p.y - p.height / 2}h${p.width}v${p.height}h${-p.width}z`)
        .join(""),
    );
    this.follow();
  }

  follow(): void {
    const { x, y, scale, size } = this.camera();
    const left = Math.max(0, -x / scale);
    const top = Math.max(0, -y / scale);
    const right = Math.min(this.size.width, (size.width - x) / scale);
    const bottom = Math.min(this.size.height, (size.height - y) / scale);
    const attributes = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
    for (const [name, value] of Object.entries(attributes)) this.view.setAttribute(name, String(value));
    const all = left <= 0 && top <= 0 && right >= this.size.width && bottom >= this.size.height;
    this.element.style.display = all ? "none" : "";
  }
}
