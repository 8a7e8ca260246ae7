const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** Light or dark: as the system has it, until the reader toggles. */
export function followSystem(): void {
  const follow = () => {
    if (!root.dataset["chosen"]) root.dataset["theme"] = system.matches ? "dark" : "light";
  };
  system.addEventListener("change", follow);
  follow();
}

export function toggleTheme(): void {
  root.dataset["chosen"] = "yes";
  root.dataset["theme"] = root.dataset["theme"] === "dark" ? "light" : "dark";
}
