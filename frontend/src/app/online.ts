/** Whether the server is reachable. */
import { Store } from "../shared/store/store.ts";

/** How often the server is probed while the browser reports no network, in ms. */
const EVERY_MS = 5_000;

/**
 * What the browser reports about its network. If it reports none, a probe decides: a server on the
 * same machine is still reachable.
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
    // The network may have come back during the probe.
    const is = navigator.onLine || isOnline;
    if (is !== this.value) this.set(is);
    if (navigator.onLine) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), EVERY_MS);
  }
}

/** Timeout of a probe, in ms. */
const PATIENCE_MS = 2_000;

/** Whether the server at this address answers, with any status. */
export async function reaches(origin: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await fetch(`${origin}/healthz`, { method: "HEAD", cache: "no-store", signal });
    return true;
  } catch {
    return false;
  }
}
