/** The frame of every page for signed-in people: the history and the shortcuts. */
import { type ReactNode, useEffect, useState } from "react";
import { StillTalking } from "../features/conversation/view/still-talking.tsx";
import { Sidebar } from "../features/history/list/sidebar.tsx";
import { fetchPieces, later } from "../shared/store/lazy.ts";
import { useStore } from "../shared/store/store.ts";
import { Icon } from "../shared/ui/icons.tsx";
import * as texts from "../texts.ts";
import { useApp } from "./context.ts";
import { ShellContext } from "./shell-context.ts";
import { useShortcuts } from "./shortcuts.ts";
import { useSidebar } from "./use-sidebar.ts";

const Shortcuts = later(() => import("../shared/ui/shortcuts.tsx"));
const ToastRegion = later(() => import("../shared/ui/toasts.tsx"));

export function Shell({ children }: { children: ReactNode }) {
  const { isOpen, isDrawer, toggle, search } = useSidebar();
  const [isHelping, setHelping] = useState(false);
  const isOnline = useStore(useApp().online);
  useShortcuts({ search, showHelp: () => setHelping(true) });
  useEffect(fetchPieces, []);

  return (
    <ShellContext value={{ isSidebarOpen: isOpen, toggleSidebar: () => toggle(!isOpen) }}>
      <a className="skip" href="#main" inert={isDrawer}>
        {texts.shellSkip}
      </a>
      <div className="shell" data-sidebar={isOpen ? "open" : "closed"}>
        {isOpen && (
          <>
            <Sidebar onClose={() => toggle(false)} onHelp={() => setHelping(true)}>
              {isDrawer && <Notes />}
            </Sidebar>
            <button
              type="button"
              className="veil"
              tabIndex={-1}
              aria-label={texts.shellCloseHistory}
              onClick={() => toggle(false)}
            />
          </>
        )}
        <main className="main" id="main" tabIndex={-1} inert={isDrawer}>
          {!isOnline && (
            <p className="offline" role="status">
              <Icon name="warning" size={18} />
              {texts.shellOffline}
            </p>
          )}
          <StillTalking />
          {children}
          {!isDrawer && <Notes />}
        </main>
      </div>
      {isHelping && <Shortcuts onClose={() => setHelping(false)} />}
    </ShellContext>
  );
}

/** The place of notes, loaded with the first one; in the drawer while that covers the page. */
function Notes() {
  const { toasts } = useApp();
  const [isNeeded, setNeeded] = useState(false);
  const isTold = useStore(toasts).length > 0;
  if (isTold && !isNeeded) setNeeded(true);
  return isNeeded && <ToastRegion />;
}
