/** What this tab keeps for one person, by conversation: it survives reloads, and nobody else sees it. */
import { type Kept, recall, remember } from "./storage.ts";

export class PerUserStorage<T> {
  readonly #name: Kept;
  /** The one changed last is the last one. */
  #values = new Map<string, T>();
  /** Whose it is; the next person in this tab must not find it. */
  #owner: string | null = null;
  /** Nobody is signed in: it is in the page alone. */
  #isHidden = false;

  constructor(name: Kept) {
    this.#name = name;
    try {
      const { owner, texts } = JSON.parse(recall(name) ?? "null");
      this.#values = new Map(Object.entries<T>(texts));
      this.#owner = owner;
    } catch {
      // There is nothing, or not in a form that this version of the page knows.
    }
  }

  get(sessionId: string): T | undefined {
    return this.#values.get(sessionId);
  }

  get last(): T | undefined {
    return [...this.#values.values()].at(-1);
  }

  /** Null is nothing any more. */
  set(sessionId: string, value: T | null): void {
    if (value === null && !this.#values.has(sessionId)) return;
    this.#values.delete(sessionId);
    if (value !== null) this.#values.set(sessionId, value);
    this.#write();
  }

  /** Keeps it for this person alone; `movesAlong` if the one before has become this one. */
  belongTo(userId: string, movesAlong = false): void {
    if (this.#owner !== userId && !movesAlong) this.#values.clear();
    this.#owner = userId;
    this.#isHidden = false;
    this.#write();
  }

  /** Removes it from the browser; the page still has it when the same person comes back. */
  hide(): void {
    this.#isHidden = true;
    remember(this.#name, null);
  }

  clear(): void {
    this.#values.clear();
    this.#write();
  }

  #write(): void {
    if (this.#isHidden) return;
    const texts = Object.fromEntries(this.#values);
    const isEmpty = this.#values.size === 0;
    remember(this.#name, isEmpty ? null : JSON.stringify({ owner: this.#owner, texts }));
  }
}
