/** Whether the server can be reached, as far as that is known without asking it for anything. */
import { Store } from "../shared/store/store.ts";

/** How often it is looked for while the browser says that it has no network, in ms. */
const EVERY_MS = 5_000;

/**
 * The browser's word on its network, where that matters: without any it still reaches a server on
 * its own machine.
 */
export class Online extends Store<boolean> {
  readonly #isReached: () => Promise<boolean>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(isReached: () => Promise<boolean>) {
    super(true);
    this.#isReached = isReached;
    addEventListener("online", () => void this.#look());
    addEventListener("offline", () => void this.#look());
    void this.#look();
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    const isOnline = navigator.onLine || (await this.#isReached());
    // It may have changed while the server was looked for.
    const is = navigator.onLine || isOnline;
    if (is !== this.value) this.set(is);
    if (navigator.onLine) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), EVERY_MS);
  }
}

/** Longest wait for the server, in ms. */
const PATIENCE_MS = 2_000;

/** Whether the server at this address answers, whatever it says. */
export async function reaches(origin: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await fetch(`${origin}/healthz`, { method: "HEAD", cache: "no-store", signal });
    return true;
  } catch {
    return false;
  }
}
