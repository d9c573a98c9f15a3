/** Whether the page is too narrow for the history beside it. */
import { useSyncExternalStore } from "react";

const narrow = matchMedia("(max-width: 860px)");

function watch(watcher: () => void): () => void {
  narrow.addEventListener("change", watcher);
  return () => narrow.removeEventListener("change", watcher);
}

export function useNarrow(): boolean {
  return useSyncExternalStore(watch, () => narrow.matches);
}
