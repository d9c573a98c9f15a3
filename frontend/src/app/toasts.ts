/** Short notes at the edge of the page. */
import { Store } from "../shared/store/store.ts";

export interface Toast {
  readonly id: number;
  readonly text: string;
  /** A note that offers something to do stays until it is done or dismissed. */
  readonly action: Action | null;
}

export interface Action {
  readonly label: string;
  run(): void;
  /** Told that the person has dismissed the note. */
  dismissed?(): void;
  /** Told that the person is at the note, and that they have left it. */
  attended?(isAttended: boolean): void;
}

export class Toasts extends Store<readonly Toast[]> {
  #next = 1;

  constructor() {
    super([]);
  }

  /** Returns the note's id. */
  tell(text: string, action: Action | null = null): number {
    const id = this.#next++;
    // The same offer is made once; what is done to several things is several offers.
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
