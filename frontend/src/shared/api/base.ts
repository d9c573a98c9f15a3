/** The app's base path: "" at the root of its origin, else a path such as "/voice". */
export const BASE =
  typeof document === "undefined" ? "" : new URL(document.baseURI).pathname.replace(/\/[^/]*$/, "");

/** Whether this page of the app is shown. */
export const isAt = (path: string): boolean => location.pathname === BASE + path;
