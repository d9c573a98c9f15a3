/** What was typed and not sent yet, by conversation: it survives glances elsewhere and reloads. */
import { PerUserStorage } from "../../shared/store/per-user-storage.ts";
import { Store } from "../../shared/store/store.ts";

export class Drafts extends PerUserStorage<string> {
  /** Counts what was put back, which a field that is open has to show. */
  readonly putBacks = new Store(0);

  constructor() {
    super("drafts");
  }

  of(sessionId: string): string {
    return this.get(sessionId) ?? "";
  }

  /** Takes what is in the field now. */
  keep(sessionId: string, text: string): void {
    this.set(sessionId, text === "" ? null : text);
  }

  /** Puts a text before what is in the field, to be changed there. */
  putBack(sessionId: string, text: string): void {
    this.keep(sessionId, [text, this.of(sessionId)].filter(Boolean).join("\n"));
    this.putBacks.set(this.putBacks.value + 1);
  }

  /** What could not be sent any more in the conversation before may be meant for the next one. */
  carryTo(sessionId: string): void {
    const { last } = this;
    if (last === undefined) return;
    this.clear();
    this.set(sessionId, last);
  }
}
