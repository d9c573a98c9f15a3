/** Lazily loaded pieces of the page. A piece that fails to load breaks nothing else. */
import { type ComponentType, createElement, type ReactNode, useEffect } from "react";

import { Store, useStore } from "./store.ts";

/** The state of a piece. A missing piece is still retried. */
export type Fetched<T> = { is: "away" | "missing" } | { is: "here"; value: T };

/** Longest pause between two attempts. */
const MOST_MS = 15_000;

/**
 * Loads something until it succeeds: a server or network that is down comes back.
 *
 * Some browsers don't request a module again that failed once; there, it stays missing until a
 * reload.
 */
export class Later<T> {
  readonly fetched = new Store<Fetched<T>>({ is: "away" });
  readonly #load: () => Promise<T>;
  #isTrying = false;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  /** Starts loading unless it has started. */
  start(): void {
    if (this.#isTrying || this.fetched.value.is === "here") return;
    this.#isTrying = true;
    void this.#try(1);
  }

  async #try(tries: number): Promise<void> {
    try {
      const value = await this.#load();
      this.fetched.set({ is: "here", value });
    } catch {
      if (this.fetched.value.is === "away") this.fetched.set({ is: "missing" });
      setTimeout(() => void this.#try(tries + 1), Math.min(500 * 2 ** tries, MOST_MS));
    }
  }
}

const pieces: Later<unknown>[] = [];

/** Delay before pieces are preloaded; until then, they load only on demand. */
export const UNHURRIED_MS = 3_000;

/**
 * Preloads all pieces while the browser is idle: the page may outlive the server's version or the
 * network.
 *
 * Returns a function that cancels this.
 */
export function fetchPieces(): () => void {
  const start = () => {
    for (const piece of pieces) piece.start();
  };
  const timer = setTimeout(
    // Not every browser has it.
    () => ("requestIdleCallback" in globalThis ? requestIdleCallback(start) : start()),
    UNHURRIED_MS,
  );
  return () => clearTimeout(timer);
}

/**
 * A component that is loaded when it is first shown, or earlier.
 *
 * @param load `() => import(…)` of a module whose default export is the component.
 * @param instead What is shown while it is away or missing; nothing by default.
 */
export function later<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  instead: (is: "away" | "missing", props: P) => ReactNode = () => null,
): ComponentType<P> {
  const piece = new Later(load);
  pieces.push(piece);
  return function Piece(props: P) {
    const fetched = useStore(piece.fetched);
    useEffect(() => piece.start(), []);
    return fetched.is === "here"
      ? createElement(fetched.value.default, props)
      : instead(fetched.is, props);
  };
}
