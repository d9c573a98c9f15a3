/** Deletions that can be undone for a while: until then the server hears nothing of them. */

import type { Toasts } from "../../../app/toasts.ts";
import { failureOf } from "../../../shared/api/client.ts";
import * as texts from "../../../texts.ts";
import { nameOf, problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";
import type { History } from "./history.ts";

/** How long somebody can change their mind. */
export const UNDO_MS = 10_000;

interface Waiting {
  readonly session: Session;
  readonly note: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Told when it is undone. */
  readonly undone: () => void;
}

export class Deletions {
  readonly #history: History;
  readonly #toasts: Toasts;
  readonly #deleted: (id: string) => void;
  /** The newest is the last. */
  readonly #waiting = new Map<string, Waiting>();
  /** What the server was asked for, and has not answered. */
  readonly #sent = new Set<string>();

  /** `deleted` hears of each that is deleted for good. */
  constructor(history: History, toasts: Toasts, deleted: (id: string) => void) {
    this.#history = history;
    this.#toasts = toasts;
    this.#deleted = deleted;
    history.watch(() => this.#settle());
  }

  /** Whether anything can be undone. */
  get isOpen(): boolean {
    return this.#waiting.size > 0;
  }

  /** Hides a conversation, and deletes it unless that is undone. */
  begin(session: Session, undone: () => void = () => {}): void {
    const { id } = session;
    if (this.#waiting.has(id)) return;
    const note = this.#toasts.tell(texts.historyDeletedNamed(nameOf(session)), {
      label: texts.undo,
      run: () => this.undo(id),
      dismissed: () => void this.#send(id),
      attended: (isAttended) => this.#hold(id, isAttended),
    });
    this.#waiting.set(id, { session, note, timer: undefined, undone });
    this.#hold(id, false);
    this.#history.hide(id);
  }

  undo(id: string): void {
    const waiting = this.#take(id);
    if (waiting === null) return;
    this.#history.hide(id, false);
    waiting.undone();
  }

  /** Undoes the newest. */
  undoLast(): void {
    const id = [...this.#waiting.keys()].at(-1);
    if (id !== undefined) this.undo(id);
  }

  /** Deletes now what is still waiting: the next person must not do it. */
  async finish(): Promise<void> {
    await Promise.all([...this.#waiting.keys()].map((id) => this.#send(id)));
  }

  /** The page goes away: the requests outlive it. Those that are on their way may not arrive. */
  leave(): void {
    for (const id of [...this.#waiting.keys(), ...this.#sent]) {
      this.#take(id);
      this.#history.removeLeaving(id);
    }
  }

  /** Nobody is here any more who may delete them: they stay. */
  drop(): void {
    for (const id of [...this.#waiting.keys()]) this.#take(id);
  }

  /** Somebody at the note has all the time they need. */
  #hold(id: string, isHeld: boolean): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    if (!isHeld) waiting.timer = setTimeout(() => void this.#send(id), UNDO_MS);
  }

  #take(id: string): Waiting | null {
    const waiting = this.#waiting.get(id);
    if (!waiting) return null;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    this.#toasts.dismiss(waiting.note);
    return waiting;
  }

  async #send(id: string): Promise<void> {
    const waiting = this.#take(id);
    if (waiting === null) return;
    this.#sent.add(id);
    try {
      await this.#history.remove(id);
      this.#deleted(id);
    } catch (error) {
      this.#history.hide(id, false);
      this.#toasts.tell(texts.historyNotDeleted(problem(failureOf(error))), {
        label: texts.tryAgain,
        run: () => this.begin(waiting.session, waiting.undone),
      });
    } finally {
      this.#sent.delete(id);
    }
  }

  /** Another window has deleted some of them: there is nothing to undo. */
  #settle(): void {
    for (const id of [...this.#waiting.keys()])
      if (this.#history.isDeleted(id)) {
        this.#take(id);
        this.#deleted(id);
      }
  }
}
