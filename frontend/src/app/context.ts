/** The app's React context and hooks. */
import { createContext, useContext, useSyncExternalStore } from "react";

import type { Conversation } from "../features/conversation/state.ts";
import type { HistoryState } from "../features/history/list/history.ts";
import { useStore } from "../shared/store/store.ts";
import type { App, Viewer } from "./app.ts";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("outside of the app");
  return app;
}

export function useConversation(): Conversation {
  const { driver } = useApp();
  return useSyncExternalStore(driver.watch, () => driver.state);
}

/** A primitive part of the conversation, so that a component does not render ten times a second. */
export function useConversationPart<T extends string | boolean | null | undefined>(
  part: (state: Conversation) => T,
): T {
  const { driver } = useApp();
  return useSyncExternalStore(driver.watch, () => part(driver.state));
}

export function useHistory(): HistoryState {
  const { history } = useApp();
  return useSyncExternalStore(history.watch, () => history.state);
}

export function useViewer(): Viewer | null {
  const presence = useStore(useApp().presence);
  return presence.is === "here" ? presence.viewer : null;
}
