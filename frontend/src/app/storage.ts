/** What the browser keeps for us; where that is forbidden, the page works without. */

type Kept = "theme" | "microphone" | "sidebar";
type KeptByTab = "talking" | "drafts";

const area = (name: Kept | KeptByTab): Storage =>
  // Which session a reload joins again, and what was typed, is a matter of this tab alone.
  name === "talking" || name === "drafts" ? sessionStorage : localStorage;

export function recall(name: Kept | KeptByTab): string | null {
  try {
    return area(name).getItem(`voxql.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: Kept | KeptByTab, value: string | null): void {
  try {
    if (value === null) area(name).removeItem(`voxql.${name}`);
    else area(name).setItem(`voxql.${name}`, value);
  } catch {
    // Forgotten at the next visit, that's all.
  }
}
