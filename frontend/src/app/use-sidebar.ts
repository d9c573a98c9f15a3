/** The history at the side: beside the page where there is room, over it like a drawer elsewhere. */
import { useCallback, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { recall, remember } from "../shared/store/storage.ts";
import { useLocation } from "./router.tsx";
import { useNarrow } from "./use-narrow.ts";

interface Sidebar {
  isOpen: boolean;
  /** It covers the page, which can't be used until it is closed. */
  isDrawer: boolean;
  /** Changes it, and takes the focus to the button that changes it back. */
  toggle(open: boolean): void;
  /** Opens it for a search. */
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
    // Drawn at once where it was closed, so that not one key of what is typed next gets lost.
    flushSync(() => setOpen(true));
    document.getElementById("search")?.focus();
  }, []);

  useEffect(() => setOpen(!isNarrow && recall("sidebar") !== "closed"), [isNarrow]);
  // A drawer covers what was chosen in it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a choice is the reason
  useEffect(() => {
    if (isNarrow) setOpen(false);
  }, [key]);
  const isDrawer = isNarrow && isOpen;
  useEscape(isDrawer, toggle);
  return { isOpen, isDrawer, toggle, search };
}

/** Esc closes what is on top: a menu or a dialog in the drawer before the drawer. */
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
