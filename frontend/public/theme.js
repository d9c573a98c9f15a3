// Before the first paint, so that nobody who chose the other theme sees a flash of this one.
try {
  const theme = localStorage.getItem("voxql.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's theme it is, then.
}
