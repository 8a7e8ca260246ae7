import { type Chart, chart, Visible } from "./chart";
import { type Layer, type Report } from "./data";

const OURS = new Set(["epoch", "loss", "validation_loss", "gradient_norm", "lr", "seconds"]);

/** What was noted after every epoch: losses, metrics, the length of the gradient, the learning rate. */
export function curves(report: Report): Chart[] {
  const { history } = report;
  const epochs = (history["epoch"] ?? []) as number[];
  const metrics = Object.keys(history).filter((name) => !OURS.has(name));
  const panels: [string, string[], boolean, string?][] = [
    ["loss", ["loss", "validation_loss"], true],
    ...metrics.map((name): [string, string[], boolean] => [name.replaceAll("_", " "), [name], false]),
    ["gradient norm", ["gradient_norm"], true, "of all parameters, mean over an epoch's steps"],
    ["learning rate", ["lr"], false],
  ];
  return panels.map(([title, names, log, note]) =>
    chart({
      title,
      ...(note ? { note } : {}),
      epochs,
      lines: names.filter((name) => history[name]?.length).map((name) => ({ label: name, values: history[name]! })),
      log,
      best: report.best_epoch < epochs.length ? report.best_epoch : 0,
      visible: new Visible(title),
    }),
  );
}

interface Panel {
  title: string;
  note: string;
  values: (layer: Layer) => (number | null)[];
  log?: boolean;
  marks?: number[];
  share?: boolean;
}

const of = (name: string) => (layer: Layer) => layer.series[name] ?? [];

const PANELS: Panel[] = [
  {
    title: "gradient",
    note: "root mean square over a layer's weights",
    values: (layer) => {
      const root = Math.sqrt(layer.shape.reduce((a, b) => a * b, 1));
      return of("gradient_norm")(layer).map((v) => (v === null ? null : v / root));
    },
    log: true,
  },
  {
    title: "update-to-weight ratio",
    note: "‖ΔW‖ / ‖W‖ of the next step; about 0.001 is usual",
    values: of("update"),
    log: true,
    marks: [1e-3],
  },
  { title: "activations: mean", note: "over rows and units", values: of("activation_mean"), marks: [0] },
  { title: "activations: standard deviation", note: "over rows and units", values: of("activation_std"), log: true },
  {
    title: "saturated activations",
    note: "where the slope of the activation function is below 0.01",
    values: of("saturated"),
    share: true,
  },
  { title: "dead units", note: "0 for every row: no gradient reaches their weights", values: of("dead"), share: true },
];

/** What was measured of every layer; a line that is hidden in one chart is hidden in all. */
export function layerCurves(report: Report): Chart[] {
  const visible = new Visible("layers");
  return PANELS.map(({ title, note, values, log = false, marks = [], share = false }) =>
    chart({
      title,
      note,
      epochs: report.measured,
      lines: report.layers.map((layer) => ({ label: layer.name, values: values(layer) })),
      log,
      marks,
      visible,
      share,
    }),
  );
}
