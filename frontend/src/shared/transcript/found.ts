/** What a search has found in the transcript that is shown. */
import { createContext } from "react";

export interface FoundLines {
  /** Texts with `<mark>` around what was found in them, by the ids of their lines. */
  readonly marked: ReadonlyMap<string, string>;
  /** The id of the line that is shown. */
  readonly current: string | null;
}

export const NOTHING_FOUND: FoundLines = { marked: new Map(), current: null };

/** Read by each line: what draws the pages of a long transcript compares none of it. */
export const Found = createContext(NOTHING_FOUND);
