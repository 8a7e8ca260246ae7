import type { Place, Size } from "./layout";

const NEAREST = 2.5;
const FARTHEST = 0.04;
const NEAR = 0.42; // where numbers can still be read

/** Pan and zoom: where the world lies in the window that shows it. */
export class Camera {
  x = 0;
  y = 0;
  scale = 1;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;

  /** `onMove` is called after every change. */
  constructor(
    private readonly window: HTMLElement,
    private readonly world: HTMLElement,
    private readonly onMove: () => void,
  ) {
    window.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    window.addEventListener("pointerdown", (event) => this.down(event));
    window.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      window.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
  }

  get size(): Size {
    return { width: this.window.clientWidth, height: this.window.clientHeight };
  }

  /** Whether the pointer was dragged since it went down: then its click means nothing. */
  get dragged(): boolean {
    return this.moved > 4;
  }

  set(x: number, y: number, scale: number, smooth = false): void {
    this.x = x;
    this.y = y;
    this.scale = scale;
    this.world.classList.toggle("smooth", smooth);
    this.world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.window.classList.toggle("far", scale < NEAR);
    this.onMove();
  }

  pan(dx: number, dy: number): void {
    this.set(this.x + dx, this.y + dy, this.scale);
  }

  /** Zoom about a point of the window, by default its middle. */
  zoom(factor: number, at = { x: this.size.width / 2, y: this.size.height / 2 }, smooth = false): void {
    const scale = Math.min(NEAREST, Math.max(FARTHEST, this.scale * factor));
    const by = scale / this.scale;
    this.set(at.x - (at.x - this.x) * by, at.y - (at.y - this.y) * by, scale, smooth);
  }

  /** All of a drawing; not smaller than `least`, but then its upper end, and of one that is very wide the left. */
  fit(drawing: Size, least = FARTHEST, smooth = false): void {
    const { width, height } = this.size;
    const whole = Math.min(1.25, width / drawing.width, height / drawing.height);
    const scale = Math.max(whole, Math.min(least, Math.max(NEAR, width / drawing.width)));
    const top = Math.max(0, (height - drawing.height * scale) / 2);
    this.set(Math.max(0, (width - drawing.width * scale) / 2), top, scale, smooth);
  }

  /** Bring a place into view, with as little movement as possible. */
  reveal(place: Place, smooth = true): void {
    const { width, height } = this.size;
    const margin = 48;
    const shift = (low: number, high: number, end: number) =>
      low < margin ? margin - low : high > end - margin ? Math.max(end - margin - high, margin - low) : 0;
    const x = this.x + place.x * this.scale;
    const y = this.y + place.y * this.scale;
    const half = { x: (place.width / 2) * this.scale, y: (place.height / 2) * this.scale };
    const dx = shift(x - half.x, x + half.x, width);
    const dy = shift(y - half.y, y + half.y, height);
    if (dx || dy) this.set(this.x + dx, this.y + dy, this.scale, smooth);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const frame = this.window.getBoundingClientRect();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 20 : event.deltaY;
    const factor = Math.exp(-Math.max(-120, Math.min(120, pixels)) * (event.ctrlKey ? 0.01 : 0.002));
    this.zoom(factor, { x: event.clientX - frame.left, y: event.clientY - frame.top });
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    if (this.pointers.size === 0) this.moved = 0;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  private drag(event: PointerEvent): void {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    this.moved += Math.hypot(now.x - last.x, now.y - last.y);
    if (this.dragged) this.window.setPointerCapture(event.pointerId);
    if (!other) {
      this.pan(now.x - last.x, now.y - last.y);
      return;
    }
    const frame = this.window.getBoundingClientRect();
    const before = Math.hypot(last.x - other.x, last.y - other.y) || 1;
    const middle = { x: (now.x + other.x) / 2 - frame.left, y: (now.y + other.y) / 2 - frame.top };
    this.zoom(Math.hypot(now.x - other.x, now.y - other.y) / before, middle);
  }
}
