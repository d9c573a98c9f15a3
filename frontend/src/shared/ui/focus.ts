/** Keeps the focus somewhere: without it, keyboard users begin at the top again. */
import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";

const isNowhere = (): boolean =>
  document.activeElement === null || document.activeElement === document.body;

/** If the focus is nowhere, puts it there, or where the page that is shown wants it. */
export function land(to?: Element | null): void {
  if (!isNowhere()) return;
  const target = to ?? document.querySelector("[data-landing]") ?? document.getElementById("main");
  (target as HTMLElement | null)?.focus({ preventScroll: true });
}

/** Hands the focus on when the part of the page that holds it goes away. */
export function useFocusHandedOn(
  ref: RefObject<HTMLElement | null>,
  to?: () => Element | null,
): void {
  const latest = useRef(to);
  latest.current = to;
  useLayoutEffect(() => {
    const element = ref.current;
    return () => {
      if (!element?.contains(document.activeElement)) return;
      // What takes its place is not on the page yet.
      queueMicrotask(() => land(latest.current?.()));
    };
  }, [ref]);
}

/** Takes the focus to each page that is opened from another one; the first is left alone. */
export function useLanding(page: string, isFirst: boolean): void {
  const wasFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page is the reason
  useEffect(() => {
    if (!wasFirst.current) land();
    wasFirst.current = isFirst;
  }, [page, isFirst]);
}

/** Where somebody touches the screen, a field that has the focus would bring up a keyboard. */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover)").matches;
