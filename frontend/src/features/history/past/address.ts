/** Addresses of conversations, and of what a search found in them. */

/** The address of a conversation; with a search, of the line that it found. */
export function addressOf(id: string, search = "", line: string | null = null): string {
  return `/c/${id}${search.trim() ? searchOf(search, line) : ""}`;
}

/** The part of an address that says what is looked for in a conversation, and where one is. */
export function searchOf(search: string, line: string | null): string {
  const asked = new URLSearchParams({ q: search });
  if (line !== null) asked.set("line", line);
  return `?${asked}`;
}

export interface Asked {
  /** Null where nothing is looked for. */
  readonly search: string | null;
  readonly line: string | null;
}

export function askedIn(address: string): Asked {
  const asked = new URLSearchParams(address);
  return { search: asked.get("q"), line: asked.get("line") };
}
