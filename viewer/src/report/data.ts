/** What `train.Report.data()` writes; a number that was not finite, or not measured, is null. */
export type Maybe = number | null;

export interface Layer {
  name: string;
  shape: number[];
  parameters: number;
  units: number;
  /** by the names of `inspect.LayerRow`, one number for each measured epoch */
  series: Record<string, Maybe[]>;
}

/** A part of the page that the program added: a sentence, preformatted text, a table. */
export interface Section {
  title: string;
  note?: string;
  text?: string;
  head?: string[];
  rows?: (string | Maybe)[][];
}

export interface Finding {
  problem: string;
  place: string;
  /** a sentence, or numbers by name */
  evidence: unknown;
  remedy: string;
}

export interface Report {
  title: string;
  state: "running" | "finished" | "interrupted" | "failed";
  error: string;
  /** seconds since 1970 */
  written: number;
  epochs: number;
  /** counts from 1; 0 while running */
  best_epoch: number;
  /** that layers are measured on */
  rows: number;
  /** columns of equal length: epoch, loss, gradient_norm, validation_loss, metrics, lr, seconds */
  history: Record<string, Maybe[]>;
  /** epochs at which layers were measured; 0 is before the first */
  measured: number[];
  layers: Layer[];
  settings: Record<string, unknown>;
  sections: Section[];
  findings: Finding[];
  /** the page that explains the model */
  viewer: string;
}

/** A number as people write it. */
export function text(value: Maybe | undefined, digits = 4): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(digits - 2).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(digits)));
}

export function percent(value: Maybe | undefined): string {
  if (value === null || value === undefined) return "–";
  return value > 0 && value < 0.005 ? "<1 %" : `${Math.round(100 * value)} %`;
}
