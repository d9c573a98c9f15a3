/** The search in the shown conversation: its bar and its matches. */
import { type ReactNode, useState } from "react";
import { useLocation } from "../../../app/router.tsx";
import { later } from "../../../shared/store/lazy.ts";
import { type FoundLines, NOTHING_FOUND } from "../../../shared/transcript/found.ts";
import { askedIn } from "./address.ts";

// A placeholder, so that nothing moves when the bar loads.
const Find = later(
  () => import("./find.tsx"),
  () => <div className="find" />,
);

interface FindState {
  bar: ReactNode;
  found: FoundLines;
  /** The id of the line to show; null without one. */
  line: string | null;
}

/** @param lines The lines on the page. */
export function useFind(
  id: string,
  version: number | undefined,
  lines: readonly { readonly id: string }[],
): FindState {
  const { search, line } = askedIn(useLocation().search);
  const [found, setFound] = useState<FoundLines>(NOTHING_FOUND);
  if (search === null) return { bar: null, found: NOTHING_FOUND, line: null };
  const isThere = line !== null && lines.some((each) => each.id === line);
  const bar = <Find id={id} version={version} isThere={isThere} onFound={setFound} />;
  // The current line is set even before the bar has loaded.
  return { bar, found: { ...found, current: line }, line };
}
