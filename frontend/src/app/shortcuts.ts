/** Keys that work everywhere. */
import { useEffect, useRef } from "react";
import { flushSync } from "react-dom";

import { useApp } from "./context.ts";
import { newKey } from "./keys.ts";

export const SHORTCUTS: readonly (readonly [keys: string, what: string])[] = [
  ["Ctrl+Shift+O", "New chat: save this conversation and begin the next"],
  ["Ctrl+K", "Search the history"],
  ["Ctrl+M", "Mute or unmute"],
  ["Enter", "Send what you typed"],
  ["Esc", "Close what is open"],
  ["Ctrl+/", "This list"],
];

interface Actions {
  openHistory(): void;
  showHelp(): void;
}

/** Drawn at once where it was closed, so that not one key of what is typed next gets lost. */
function openSearch(openHistory: () => void): void {
  flushSync(openHistory);
  document.getElementById("search")?.focus();
}

export function useShortcuts(actions: Actions): void {
  const app = useApp();
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (event.shiftKey && key === "o") {
        app.driver.dispatch({ type: "newChat", key: newKey() });
      } else if (!event.shiftKey && key === "k") {
        openSearch(latest.current.openHistory);
      } else if (!event.shiftKey && key === "m") {
        const { isMuted } = app.driver.state.microphone;
        app.driver.dispatch({ type: "mute", isMuted: !isMuted });
      } else if (key === "/") {
        latest.current.showHelp();
      } else {
        return;
      }
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [app]);
}
