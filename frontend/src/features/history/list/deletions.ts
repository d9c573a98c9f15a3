/** Deletions that can be undone for a while before they are sent to the server. */

import type { Toasts } from "../../../app/toasts.ts";
import { failureOf } from "../../../shared/api/client.ts";
import * as texts from "../../../texts.ts";
import { nameOf, problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";
import type { History } from "./history.ts";

/** How long a deletion can be undone. */
export const UNDO_MS = 10_000;

interface Waiting {
  readonly session: Session;
  readonly note: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Called when the deletion is undone. */
  readonly undone: () => void;
}

export class Deletions {
  readonly #history: History;
  readonly #toasts: Toasts;
  readonly #deleted: (id: string) => void;
  /** Newest last. */
  readonly #waiting = new Map<string, Waiting>();
  /** Deletions that the server has not answered yet. */
  readonly #sent = new Set<string>();

  /** `deleted` is called for each conversation that is deleted for good. */
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

  /** Hides a conversation and deletes it after a while unless that is undone. */
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

  /** Undoes the latest deletion. */
  undoLast(): void {
    const id = [...this.#waiting.keys()].at(-1);
    if (id !== undefined) this.undo(id);
  }

  /** Sends all waiting deletions now: they must not happen under the next person. */
  async finish(): Promise<void> {
    await Promise.all([...this.#waiting.keys()].map((id) => this.#send(id)));
  }

  /** The page unloads: sends all open deletions in requests that outlive it. Requests that are
   * already running may not arrive. */
  leave(): void {
    for (const id of [...this.#waiting.keys(), ...this.#sent]) {
      this.#take(id);
      this.#history.removeLeaving(id);
    }
  }

  /** Drops waiting deletions: nobody is signed in who may delete these conversations. */
  drop(): void {
    for (const id of [...this.#waiting.keys()]) this.#take(id);
  }

  /** Pauses the timer while the person is at the note. */
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

  /** Drops deletions that another window has made already: there is nothing to undo. */
  #settle(): void {
    for (const id of [...this.#waiting.keys()])
      if (this.#history.isDeleted(id)) {
        this.#take(id);
        this.#deleted(id);
      }
  }
}
