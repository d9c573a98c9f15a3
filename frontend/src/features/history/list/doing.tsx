/** Renaming and deleting a conversation, in the list and on its own page. */
import { type ReactNode, useState } from "react";

import { useApp, useConversationPart } from "../../../app/context.ts";
import { later } from "../../../shared/store/lazy.ts";
import { land } from "../../../shared/ui/focus.ts";
import * as texts from "../../../texts.ts";
import { isOver, isRunning, type Session } from "../../conversation/state.ts";
import type { WayOn } from "./more.tsx";

const Rename = later(() => import("./rename.tsx"));
const DeleteRunning = later(() => import("./delete-running.tsx"));

interface Doing {
  /** The field for a new title, in place of the old one. */
  field: ReactNode;
  dialog: ReactNode;
  rename: () => void;
  ways: readonly [rename: WayOn, remove: WayOn];
}

/** @param backTo Where the focus goes afterwards. */
export function useDoing(session: Session, backTo: () => Element | null): Doing {
  const app = useApp();
  const [doing, setDoing] = useState<"nothing" | "rename" | "delete">("nothing");
  const isHere = useConversationPart((now) => isRunning(now) && now.session?.id === session.id);
  const done = () => setDoing("nothing");
  const remove = () => {
    if (isHere || !isOver(session)) return setDoing("delete");
    const next = besideOf(backTo());
    app.delete(session);
    // The menu keeps the focus until it is gone.
    if (next) setTimeout(() => land(next));
  };
  const rename = () => setDoing("rename");
  return {
    field: doing === "rename" && <Rename session={session} backTo={backTo} onDone={done} />,
    dialog: doing === "delete" && (
      <DeleteRunning session={session} backTo={backTo} onClose={done} />
    ),
    rename,
    ways: [
      { label: texts.historyRename, run: rename },
      { label: texts.historyDelete, isDanger: true, run: remove },
    ],
  };
}

/** The next row, else the previous one, else the search field; null outside the list. */
function besideOf(link: Element | null): Element | null {
  const links = [...document.querySelectorAll(".row-link")];
  const at = link === null ? -1 : links.indexOf(link);
  if (at < 0) return null;
  return links[at + 1] ?? links[at - 1] ?? document.getElementById("search");
}
