/** What was typed and not sent yet, by conversation: it survives glances elsewhere and reloads. */
import { Owned } from "./owned.ts";

export class Drafts extends Owned<string> {
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

  /** What could not be sent any more in the conversation before may be meant for the next one. */
  carryTo(sessionId: string): void {
    const { last } = this;
    if (last === undefined) return;
    this.clear();
    this.set(sessionId, last);
  }
}
