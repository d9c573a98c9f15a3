/** What was typed and not sent yet, by conversation: it survives glances elsewhere and reloads. */
import { recall, remember } from "./storage.ts";

export class Drafts {
  /** The one changed last is the last one. */
  #texts = new Map<string, string>();
  /** Who has typed them; whoever comes next in this tab must not find them. */
  #owner: string | null = null;

  constructor() {
    try {
      const { owner, texts } = JSON.parse(recall("drafts") ?? "null");
      this.#texts = new Map(Object.entries<string>(texts));
      this.#owner = owner;
    } catch {
      // There are none, or not in a form that this version of the page knows.
    }
  }

  of(sessionId: string): string {
    return this.#texts.get(sessionId) ?? "";
  }

  /** Takes what is in the field now. */
  keep(sessionId: string, text: string): void {
    this.#texts.delete(sessionId);
    if (text !== "") this.#texts.set(sessionId, text);
    this.#write();
  }

  /** What could not be sent any more in the conversation before may be meant for the next one. */
  carryTo(sessionId: string): void {
    const last = [...this.#texts.entries()].at(-1);
    if (last === undefined) return;
    this.#texts = new Map([[sessionId, last[1]]]);
    this.#write();
  }

  /** Keeps them for this person alone; `movesAlong` if the one before has become this one. */
  belongTo(userId: string, movesAlong = false): void {
    if (this.#owner !== userId && !movesAlong) this.#texts.clear();
    this.#owner = userId;
    this.#write();
  }

  /** Leaves nothing behind in the browser; whoever comes back to this page finds them again. */
  hide(): void {
    remember("drafts", null);
  }

  clear(): void {
    this.#texts.clear();
    this.#write();
  }

  #write(): void {
    const texts = Object.fromEntries(this.#texts);
    const isEmpty = this.#texts.size === 0;
    remember("drafts", isEmpty ? null : JSON.stringify({ owner: this.#owner, texts }));
  }
}
