/** What the page was made for: the JSON that stands in it. */
export function embedded<T>(): T {
  return JSON.parse(document.getElementById("data")!.textContent) as T;
}
