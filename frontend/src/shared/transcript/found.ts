/** Search results in the shown transcript. */
import { createContext } from "react";

export interface FoundLines {
  /** Texts with `<mark>` around matches, by line id. */
  readonly marked: ReadonlyMap<string, string>;
  /** The id of the current line. */
  readonly current: string | null;
}

export const NOTHING_FOUND: FoundLines = { marked: new Map(), current: null };

/** A context that each line reads, so that the pages of a long transcript don't depend on it. */
export const Found = createContext(NOTHING_FOUND);
