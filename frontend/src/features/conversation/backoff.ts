/** Retry delays. */

const LONGEST_PAUSE_MS = 5_000;

/** Longest pause after `tries` consecutive failures, in ms. */
export const backoffMs = (tries: number): number =>
  Math.min(LONGEST_PAUSE_MS, 200 * 2 ** Math.min(tries, 10));
