/** What this tab keeps for one person by conversation; it survives reloads, others don't see it. */
import { type Kept, recall, remember } from "./storage.ts";

export class PerUserStorage<T> {
  readonly #name: Kept;
  /** The value changed last comes last. */
  #values = new Map<string, T>();
  /** The owner of the values; the next person in this tab must not see them. */
  #owner: string | null = null;
  /** Nobody is signed in: the values are only in the page's memory. */
  #isHidden = false;

  constructor(name: Kept) {
    this.#name = name;
    try {
      const { owner, texts } = JSON.parse(recall(name) ?? "null");
      this.#values = new Map(Object.entries<T>(texts));
      this.#owner = owner;
    } catch {
      // Nothing is stored, or in a format that this version of the page does not know.
    }
  }

  get(sessionId: string): T | undefined {
    return this.#values.get(sessionId);
  }

  get last(): T | undefined {
    return [...this.#values.values()].at(-1);
  }

  /** Sets a value; null removes it. */
  set(sessionId: string, value: T | null): void {
    if (value === null && !this.#values.has(sessionId)) return;
    this.#values.delete(sessionId);
    if (value !== null) this.#values.set(sessionId, value);
    this.#write();
  }

  /** Sets the owner. Drops another owner's values unless `movesAlong`: a guest became this one. */
  belongTo(userId: string, movesAlong = false): void {
    if (this.#owner !== userId && !movesAlong) this.#values.clear();
    this.#owner = userId;
    this.#isHidden = false;
    this.#write();
  }

  /** Removes the values from the browser; the page still has them if the same person comes back. */
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
