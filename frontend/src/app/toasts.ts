/** Short notes at the edge of the page. */
import { Store } from "../shared/store/store.ts";

export interface Toast {
  readonly id: number;
  readonly text: string;
  /** A note with an action stays until the action is taken or the note is dismissed. */
  readonly action: Action | null;
}

export interface Action {
  readonly label: string;
  run(): void;
  /** Called when the person dismisses the note. */
  dismissed?(): void;
  /** Called when the person's pointer or focus enters or leaves the note. */
  attended?(isAttended: boolean): void;
}

export class Toasts extends Store<readonly Toast[]> {
  #next = 1;

  constructor() {
    super([]);
  }

  /** Shows a note and returns its id. */
  tell(text: string, action: Action | null = null): number {
    const id = this.#next++;
    // A repeated offer replaces its note; notes with `dismissed` each concern another item.
    const isSame = (toast: Toast) => toast.text === text && !toast.action?.dismissed;
    this.set([...this.value.filter((toast) => !isSame(toast)), { id, text, action }]);
    return id;
  }

  clear(): void {
    this.set([]);
  }

  dismiss(id: number): void {
    this.set(this.value.filter((toast) => toast.id !== id));
  }
}
