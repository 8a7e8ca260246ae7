import type { ArrayData, Scalar } from "../explanation";

/** Elements as numbers: "nan", "inf" and "-inf" are strings in JSON; complex numbers have no place here. */
export function numeric(v: Scalar): number {
  if (typeof v !== "string") return Number(v);
  const named: Record<string, number> = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  return named[v] ?? Number(v);
}

/** A number with so many digits, as Python's `%.5g` has them: "0.0087714", "1.5e-7". */
export function short(v: Scalar, digits = 5): string {
  if (typeof v === "boolean") return v ? "True" : "False";
  if (Object.is(v, -0)) return "-0";
  if (typeof v === "string" || Number.isInteger(v)) return String(v);
  const exponent = Number(v.toExponential(digits - 1).split("e")[1]);
  if (exponent >= -5 && exponent < Math.max(digits, 6)) return trimmed(v.toPrecision(digits));
  return trimmed(v.toExponential(digits - 1));
}

function trimmed(text: string): string {
  const [base = "", power] = text.split("e");
  const plain = base.includes(".") ? base.replace(/\.?0+$/, "") : base;
  return power ? `${plain}e${Number(power)}` : plain;
}

/** All digits that a number of its dtype has. */
export function whole(v: Scalar, dtype: string): string {
  if (typeof v !== "number" || Number.isInteger(v)) return short(v);
  if (dtype === "float32") {
    for (let p = 1; p <= 9; p++)
      if (Math.fround(Number(v.toPrecision(p))) === Math.fround(v)) return trimmed(v.toPrecision(p));
  }
  return dtype === "float16" ? short(v) : String(v);
}

export function size(shape: number[]): string {
  return shape.length ? shape.join("×") : "scalar";
}

export interface Statistics {
  count: number;
  zeros: number;
  nan: number;
  infinite: number;
  /** of what is finite; absent if nothing is */
  min?: number;
  max?: number;
  mean?: number;
  std?: number;
  norm?: number;
}

/** From the elements, or from what Python has summarised; null for complex numbers. */
export function statistics(a: ArrayData): Statistics | null {
  const count = a.shape.reduce((m, n) => m * n, 1);
  if (a.dtype.startsWith("complex")) return null;
  if (!a.elements) {
    if (a.finite === undefined) return null;
    const nan = a.nan ?? 0;
    const found: Statistics = { count, zeros: a.zeros ?? 0, nan, infinite: count - a.finite - nan };
    for (const key of ["min", "max", "mean", "std", "norm"] as const) {
      const v = a[key];
      if (v !== undefined) found[key] = numeric(v);
    }
    return found;
  }
  const all = a.elements.map(numeric);
  const finite = all.filter(Number.isFinite);
  const nan = all.filter(Number.isNaN).length;
  const found: Statistics = {
    count,
    zeros: finite.filter((v) => v === 0).length,
    nan,
    infinite: all.length - finite.length - nan,
  };
  if (!finite.length) return found;
  const mean = finite.reduce((s, v) => s + v, 0) / finite.length;
  return Object.assign(found, {
    min: Math.min(...finite),
    max: Math.max(...finite),
    mean,
    std: Math.sqrt(finite.reduce((s, v) => s + (v - mean) ** 2, 0) / finite.length),
    norm: Math.hypot(...finite),
  });
}
