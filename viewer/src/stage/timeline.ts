import type { Explanation, Step } from "../explanation";

/** The walk: values forward node by node, then gradients backward, in the order of the engine. */
export class Timeline {
  readonly length: number;
  readonly forward: number[];
  readonly backward: number[];
  private readonly valueAt: number[];
  private readonly gradAt: number[];

  constructor({ nodes, forward, backward }: Explanation) {
    this.forward = forward;
    this.backward = backward;
    this.length = forward.length + backward.length;
    this.valueAt = nodes.map(() => 0);
    // A gradient that the pass never came to is zero, which is known at its end
    this.gradAt = nodes.map((n) => (n.grad === null ? Infinity : this.length));
    forward.forEach((node, k) => (this.valueAt[node] = k + 1));
    backward.forEach((node, k) => (this.gradAt[node] = forward.length + k + 1));
  }

  step(at: number): Step {
    const computed = this.forward.length;
    return {
      at,
      phase: at === 0 ? "start" : at <= computed ? "forward" : "backward",
      node: (at <= computed ? this.forward[at - 1] : this.backward[at - computed - 1]) ?? null,
      hasValue: (node) => this.valueAt[node]! <= at,
      hasGrad: (node) => this.gradAt[node]! <= at,
    };
  }
}
