// Before the first paint, so that nobody who chose the other theme sees a flash of this one.
try {
  const theme = localStorage.getItem("voxql.theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
    for (const meta of document.querySelectorAll("meta[name=theme-color]"))
      meta.media = meta.dataset.theme === theme ? "all" : "not all";
  }
} catch {
  // Storage may be forbidden; the system's theme it is, then.
}
