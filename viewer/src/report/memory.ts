/** What the reader chose, which the page still knows after it has loaded itself again. */
type Choices = Record<string, unknown>;

const known = (history.state ?? {}) as Choices;

export function recall<T>(name: string, otherwise: T): T {
  return name in known ? (known[name] as T) : otherwise;
}

export function remember(name: string, value: unknown): void {
  known[name] = value;
  history.replaceState(known, "");
}
