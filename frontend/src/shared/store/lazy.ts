/** Pieces of the page that are fetched after it. What can't be fetched takes nothing else along. */
import { type ComponentType, createElement, type ReactNode, useEffect } from "react";

import { Store, useStore } from "./store.ts";

/** How far a piece is. It may be missing and tried for at the same time. */
export type Fetched<T> = { is: "away" | "missing" } | { is: "here"; value: T };

/** Longest pause between two tries. */
const MOST_MS = 15_000;

/**
 * Fetches something until it is there: a server that is down or a network that is gone come back.
 *
 * Browsers differ in whether they ask again for a module that failed once; where they don't, it
 * stays missing until the page is loaded again.
 */
export class Later<T> {
  readonly fetched = new Store<Fetched<T>>({ is: "away" });
  readonly #load: () => Promise<T>;
  #isTrying = false;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  /** Begins to fetch it, unless that has begun. */
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

/** How long after the page can be used the pieces are left to come when they are needed. */
export const UNHURRIED_MS = 3_000;

/**
 * Fetches all pieces while nobody waits for them, so that few are still to come when it matters: a
 * page may outlive the server's version, or its network.
 *
 * Returns what calls it off.
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
 * A component that is fetched when it is first shown, or before that.
 *
 * @param load `() => import(…)` of a module whose default export is the component.
 * @param instead What is shown while it is away or missing; nothing, unless told otherwise.
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
