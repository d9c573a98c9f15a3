/** The history sidebar: beside the page if there is room, else a drawer over it. */
import { useCallback, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { recall, remember } from "../shared/store/storage.ts";
import { useLocation } from "./router.tsx";
import { useNarrow } from "./use-narrow.ts";

interface Sidebar {
  isOpen: boolean;
  /** The sidebar covers the page, which can't be used until it is closed. */
  isDrawer: boolean;
  /** Opens or closes it and focuses the button that reverses this. */
  toggle(open: boolean): void;
  /** Opens it and focuses the search field. */
  search(): void;
}

export function useSidebar(): Sidebar {
  const isNarrow = useNarrow();
  const [isOpen, setOpen] = useState(() => !isNarrow && recall("sidebar") !== "closed");
  const { key } = useLocation();

  const toggle = useCallback(
    (open: boolean) => {
      flushSync(() => setOpen(open));
      document.getElementById(open ? "close-history" : "open-history")?.focus();
      if (!isNarrow) remember("sidebar", open ? null : "closed");
    },
    [isNarrow],
  );
  const search = useCallback(() => {
    // Render at once if it was closed, so that no keystroke is lost.
    flushSync(() => setOpen(true));
    document.getElementById("search")?.focus();
  }, []);

  useEffect(() => setOpen(!isNarrow && recall("sidebar") !== "closed"), [isNarrow]);
  // A drawer would cover what was chosen in it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a navigation is the trigger
  useEffect(() => {
    if (isNarrow) setOpen(false);
  }, [key]);
  const isDrawer = isNarrow && isOpen;
  useEscape(isDrawer, toggle);
  return { isOpen, isDrawer, toggle, search };
}

/** Esc closes what is on top: a menu or dialog before the drawer. */
function useEscape(isDrawer: boolean, toggle: (open: boolean) => void): void {
  useEffect(() => {
    if (!isDrawer) return;
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      if (document.querySelector("dialog[open], [role=menu]") === null) toggle(false);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [isDrawer, toggle]);
}
