/** Keeps the focus from getting lost: keyboard users would start at the top again. */
import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";

const isNowhere = (): boolean =>
  document.activeElement === null || document.activeElement === document.body;

/** If nothing has the focus, focuses `to`, or the page's landing element. */
export function land(to?: Element | null): void {
  if (!isNowhere()) return;
  const target = to ?? document.querySelector("[data-landing]") ?? document.getElementById("main");
  (target as HTMLElement | null)?.focus({ preventScroll: true });
}

/** Moves the focus on when the element that contains it is removed. */
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
      // The replacement is not on the page yet.
      queueMicrotask(() => land(latest.current?.()));
    };
  }, [ref]);
}

/** Moves the focus to each page that is opened from another one; not to the first. */
export function useLanding(page: string, isFirst: boolean): void {
  const wasFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new page is the trigger
  useEffect(() => {
    if (!wasFirst.current) land();
    wasFirst.current = isFirst;
  }, [page, isFirst]);
}

/** False on touch screens, where focusing a field would open an on-screen keyboard. */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover)").matches;
