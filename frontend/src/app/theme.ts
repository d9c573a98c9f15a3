/** The chosen theme, for the page and for what the browser draws around it. */

/** Applies a theme. `public/theme.js` does the same before the first paint. */
export function showTheme(choice: string): void {
  const { dataset } = document.documentElement;
  if (choice === "system") delete dataset["theme"];
  else dataset["theme"] = choice;
  for (const meta of document.querySelectorAll<HTMLMetaElement>("meta[name=theme-color]")) {
    const own = meta.dataset["theme"];
    if (choice === "system") meta.media = `(prefers-color-scheme: ${own})`;
    else meta.media = own === choice ? "all" : "not all";
  }
}
