/** What surrounds every page of somebody who is signed in: the history, and the shortcuts. */
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { useLocation } from "react-router";

import { Sidebar } from "../history/sidebar.tsx";
import { Icon } from "../ui/icons.tsx";
import { Shortcuts } from "../ui/shortcuts.tsx";
import { ShellContext } from "./shell-context.ts";
import { useShortcuts } from "./shortcuts.ts";
import { recall, remember } from "./storage.ts";
import { useOnline } from "./use-online.ts";

const NARROW = "(max-width: 860px)";

export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, setOpen] = useState(
    () => !matchMedia(NARROW).matches && recall("sidebar") !== "closed",
  );
  const [isHelping, setHelping] = useState(false);
  const isOnline = useOnline();
  const { pathname } = useLocation();

  const toggle = useCallback((open: boolean) => {
    setOpen(open);
    if (!matchMedia(NARROW).matches) remember("sidebar", open ? null : "closed");
  }, []);
  // On a narrow page the history covers what was chosen in it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new address is the reason
  useEffect(() => {
    if (matchMedia(NARROW).matches) setOpen(false);
  }, [pathname]);
  useShortcuts({ openHistory: () => toggle(true), showHelp: () => setHelping(true) });

  return (
    <ShellContext value={{ isSidebarOpen: isOpen, toggleSidebar: () => toggle(!isOpen) }}>
      <a className="skip" href="#main">
        Skip to the conversation
      </a>
      <div className="shell" data-sidebar={isOpen ? "open" : "closed"}>
        {isOpen && (
          <>
            <Sidebar onClose={() => toggle(false)} onHelp={() => setHelping(true)} />
            <button
              type="button"
              className="veil"
              tabIndex={-1}
              aria-label="Close the history"
              onClick={() => toggle(false)}
            />
          </>
        )}
        <main className="main" id="main" tabIndex={-1}>
          {!isOnline && (
            <p className="offline" role="status">
              <Icon name="warning" size={18} />
              You are offline. What you see stays; the rest goes on when the network is back.
            </p>
          )}
          {children}
        </main>
      </div>
      {isHelping && <Shortcuts onClose={() => setHelping(false)} />}
    </ShellContext>
  );
}
