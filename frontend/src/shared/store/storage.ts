/** The browser's storage; if it is blocked, the page works without it. */

/** Kept per tab: the session that a reload rejoins, and typed text. */
const BY_TAB = ["talking", "drafts", "unsent"] as const;

export type Kept = "theme" | "microphone" | "sidebar" | "voice" | (typeof BY_TAB)[number];

const area = (name: Kept): Storage =>
  BY_TAB.some((each) => each === name) ? sessionStorage : localStorage;

export function recall(name: Kept): string | null {
  try {
    return area(name).getItem(`voxql.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: Kept, value: string | null): void {
  try {
    if (value === null) area(name).removeItem(`voxql.${name}`);
    else area(name).setItem(`voxql.${name}`, value);
  } catch {
    // The next visit merely lacks the value.
  }
}
