/** The text field's unsent text by conversation; it survives navigation and reloads. */
import { PerUserStorage } from "../../shared/store/per-user-storage.ts";
import { Store } from "../../shared/store/store.ts";

export class Drafts extends PerUserStorage<string> {
  /** Counts texts that were put back, so that an open field shows them. */
  readonly putBacks = new Store(0);

  constructor() {
    super("drafts");
  }

  of(sessionId: string): string {
    return this.get(sessionId) ?? "";
  }

  /** Stores the field's current text. */
  keep(sessionId: string, text: string): void {
    this.set(sessionId, text === "" ? null : text);
  }

  /** Puts a text in front of the field's text for editing. */
  putBack(sessionId: string, text: string): void {
    this.keep(sessionId, [text, this.of(sessionId)].filter(Boolean).join("\n"));
    this.putBacks.set(this.putBacks.value + 1);
  }

  /** Moves the last draft to the next conversation, which it may be meant for. */
  carryTo(sessionId: string): void {
    const { last } = this;
    if (last === undefined) return;
    this.clear();
    this.set(sessionId, last);
  }
}
