/** Addresses of conversations and of search results in them. */

/** The address of a conversation or, with a search, of the line found in it. */
export function addressOf(id: string, search = "", line: string | null = null): string {
  return `/c/${id}${search.trim() ? searchOf(search, line) : ""}`;
}

/** The query string for a search in a conversation and the current line. */
export function searchOf(search: string, line: string | null): string {
  const asked = new URLSearchParams({ q: search });
  if (line !== null) asked.set("line", line);
  return `?${asked}`;
}

export interface Asked {
  /** Null without a search. */
  readonly search: string | null;
  readonly line: string | null;
}

export function askedIn(address: string): Asked {
  const asked = new URLSearchParams(address);
  return { search: asked.get("q"), line: asked.get("line") };
}
