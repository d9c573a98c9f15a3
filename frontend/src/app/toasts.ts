/** Short notes at the edge of the page. */
import { Store } from "./store.ts";

export interface Toast {
  readonly id: number;
  readonly text: string;
  /** A note that offers something to do stays until it is done or dismissed. */
  readonly action: { readonly label: string; run(): void } | null;
}

export class Toasts extends Store<readonly Toast[]> {
  #next = 1;

  constructor() {
    super([]);
  }

  tell(text: string, action: Toast["action"] = null): void {
    const others = this.value.filter((toast) => toast.text !== text);
    this.set([...others, { id: this.#next++, text, action }]);
  }

  clear(): void {
    this.set([]);
  }

  dismiss(id: number): void {
    this.set(this.value.filter((toast) => toast.id !== id));
  }
}
