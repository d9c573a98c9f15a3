/** Keys that work everywhere. */
import { useEffect, useRef } from "react";

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
  search(): void;
  showHelp(): void;
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
        latest.current.search();
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
