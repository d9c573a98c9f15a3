/** Keyboard shortcuts that work everywhere. */
import { useEffect, useRef } from "react";
import { useApp } from "./context.ts";
import { newKey } from "./keys.ts";

const isTyping = (): boolean => document.activeElement?.matches("input, textarea") ?? false;

interface Actions {
  search(): void;
  showHelp(): void;
}

export function useShortcuts(actions: Actions): void {
  const app = useApp();
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const action = ({ key, shiftKey }: KeyboardEvent): (() => void) | null => {
      switch (`${shiftKey ? "shift+" : ""}${key.toLowerCase()}`) {
        case "shift+o":
          return () => app.driver.dispatch({ type: "newChat", key: newKey() });
        case "k":
          return () => latest.current.search();
        case "m":
          return () => {
            const { isMuted } = app.driver.state.microphone;
            app.driver.dispatch({ type: "mute", isMuted: !isMuted });
          };
        // In a field, this is the browser's shortcut for undoing typing.
        case "z":
          return app.deletions.isOpen && !isTyping() ? () => app.deletions.undoLast() : null;
        // Some keyboard layouts need Shift for "/".
        case "/":
        case "shift+/":
          return () => latest.current.showHelp();
        default:
          return null;
      }
    };
    const pressed = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      // Cmd+M minimizes a Mac's window.
      if (event.metaKey && event.key.toLowerCase() === "m") return;
      const act = action(event);
      if (act === null) return;
      event.preventDefault();
      // A key that is held down acts once.
      if (!event.repeat) act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [app]);
}
