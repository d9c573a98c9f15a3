/** Keeps the text being read in place while lines are inserted above it. */
import { useEffect, useLayoutEffect, useRef } from "react";

import type { Reading } from "../past/reading.ts";

const topOf = (id: string): number | undefined =>
  document.getElementById(id)?.getBoundingClientRect().top;

/** @param first The id of the first line on the page. */
export function useSteady(reading: Reading, first: string | undefined): void {
  const before = useRef<{ id: string; top: number } | null>(null);
  const latest = useRef(first);
  latest.current = first;
  useEffect(
    () =>
      reading.read.watch(() => {
        // Called before the change is rendered.
        const id = latest.current;
        const top = id === undefined ? undefined : topOf(id);
        before.current = id === undefined || top === undefined ? null : { id, top };
      }),
    [reading],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new first line is the trigger
  useLayoutEffect(() => {
    if (before.current === null) return;
    const { id, top } = before.current;
    before.current = null;
    const now = topOf(id);
    const scroll = document.getElementById(id)?.closest(".scroll");
    if (now !== undefined && scroll) scroll.scrollTop += now - top;
  }, [first]);
}
