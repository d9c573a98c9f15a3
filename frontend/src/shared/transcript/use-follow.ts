/** Keeps the newest line in view until somebody scrolls up to read. */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Closer to the end than this counts as being there. */
const NEAR_PX = 48;

/** @param isAtEnd Whether to start at the end. */
export function useFollow(ref: RefObject<HTMLElement | null>, changed: unknown, isAtEnd = true) {
  const [isAway, setAway] = useState(false);
  const isFollowing = useRef(isAtEnd);

  const toEnd = useCallback(() => {
    const element = ref.current;
    if (!element) return;
    isFollowing.current = true;
    element.scrollTop = element.scrollHeight;
    setAway(false);
  }, [ref]);

  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const scrolled = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      isFollowing.current = left < NEAR_PX;
      setAway(!isFollowing.current);
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    let { top } = element.getBoundingClientRect();
    const resized = () => {
      const moved = element.getBoundingClientRect().top - top;
      top += moved;
      // A smaller window or a keyboard must not hide the newest line.
      if (isFollowing.current) toEnd();
      // A notice above takes some of the space and must not move the text being read.
      else if (moved !== 0) element.scrollTop += moved;
    };
    const observer = new ResizeObserver(resized);
    observer.observe(element);
    // The content as well: a line may be formatted, and grow, a moment after it arrives.
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => {
      element.removeEventListener("scroll", scrolled);
      observer.disconnect();
    };
  }, [ref, toEnd]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change is the trigger to scroll
  useLayoutEffect(() => {
    const element = ref.current;
    if (element && isFollowing.current) element.scrollTop = element.scrollHeight;
  }, [ref, changed]);

  return { isAway, toEnd };
}
