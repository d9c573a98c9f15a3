/** The search within a conversation that is shown: its bar, and what it has found. */
import { type ReactNode, useState } from "react";
import { useLocation } from "../../../app/router.tsx";
import { later } from "../../../shared/store/lazy.ts";
import { type FoundLines, NOTHING_FOUND } from "../../../shared/transcript/found.ts";
import { askedIn } from "./address.ts";

// It takes its place at once, so that nothing moves when it comes.
const Find = later(
  () => import("./find.tsx"),
  () => <div className="find" />,
);

interface FindState {
  bar: ReactNode;
  found: FoundLines;
  /** The id of the line to show; null where nothing is looked for. */
  line: string | null;
}

/** @param lines What is on the page. */
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
  // At once in its place, also before the bar is there.
  return { bar, found: { ...found, current: line }, line };
}
