/** What `Explanation.to_dict()` writes, and where a walk through it stands. */

/** JSON has no NaN and no infinities: they come as "nan", "inf", "-inf"; complex numbers as "(1+2j)". */
export type Scalar = number | boolean | string;

/** A number or an array: `elements`, row by row, if they are few, else a summary. */
export interface ArrayData {
  shape: number[];
  dtype: string;
  /** as people write it: "0.3", "[1, 2]", "[10×3] mean 0, std 0" */
  text: string;
  elements?: Scalar[];
  /** how many are finite; what follows is of these */
  finite?: number;
  nan?: number;
  zeros?: number;
  mean?: Scalar;
  std?: Scalar;
  min?: Scalar;
  max?: Scalar;
  norm?: Scalar;
  /** counts in bins of equal width from min to max */
  histogram?: number[];
  /** of large arrays that are a value or a gradient */
  map?: HeatMap;
}

/** Of each block of elements the one of largest magnitude, as a byte. */
export interface HeatMap {
  rows: number;
  columns: number;
  /** the largest magnitude */
  scale: number;
  /** base64: 129 is 0, 3 to 255 go from minus to plus scale; 0 is NaN, 1 and 2 are the infinities */
  cells: string;
}

/** Of an op with several outputs. */
export interface Parts {
  parts: Data[];
}

export type Data = ArrayData | Parts | null;

export interface NodeData {
  id: number;
  name: string;
  /** of an argument's leaf: "p['W1']" */
  path: string;
  op: string;
  kind: string;
  formula: string;
  /** the name as LaTeX */
  symbol: string;
  latex: string;
  rule: string;
  shape: number[];
  dtype: string;
  scope: string;
  file: string;
  line: number;
  source: string;
  value: Data;
  grad: Data;
  /** by input; null where it is not formed */
  local: Data[];
  /** by input: ∂node/∂input with its formula, as LaTeX; empty where there is none */
  derivatives: string[];
  /** the chain rule with its numbers, as LaTeX with the macros of panel/math.ts */
  chain: string;
  derivative_of: number | null;
}

export interface EdgeData {
  source: number;
  target: number;
  /** which input of the target */
  position: number;
  /** whether anything goes back along it */
  flows: boolean;
  /** what the target gave to the gradient of the source; null where that is the whole gradient, or nothing */
  contribution: Data;
}

export interface ScopeData {
  name: string;
  parent: string;
  nodes: number[];
}

export interface GroupData {
  name: string;
  nodes: number[];
}

export interface ForwardRow {
  z: string;
  formula: string;
  parameter: string;
  multiplies: string;
  factor: Data;
}

export interface BackwardRow {
  z: string;
  gain: string;
  amplification: Data;
  arrives: string;
  grad: Data;
}

/** How many ways lead from the output to a parameter; numbers may be beyond all bounds, so they are text. */
export interface PathsData {
  parameter: number;
  count: string;
  edges: string;
  operations: string;
  naive: string;
  strongest: { share: Scalar; nodes: number[] }[];
}

export interface Explanation {
  version: number;
  output: number;
  parameters: number[];
  nodes: NodeData[];
  edges: EdgeData[];
  scopes: ScopeData[];
  /** nodes in the order in which the engine visited them */
  forward: number[];
  backward: number[];
  passes: { forward: ForwardRow[]; backward: BackwardRow[] };
  paths: PathsData[];
  groups: GroupData[];
}

/** A moment of the walk: values first, then gradients, one node a step. */
export interface Step {
  /** 0: only the leaves have values; `forward.length`: all have; then gradients */
  at: number;
  phase: "start" | "forward" | "backward";
  /** the node that this step computes; null at the start */
  node: number | null;
  /** whether a node has its value, its gradient by now */
  hasValue(node: number): boolean;
  hasGrad(node: number): boolean;
}
