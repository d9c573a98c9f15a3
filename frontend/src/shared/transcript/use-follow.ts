/** Keeps the newest line in view, until somebody scrolls up to read. */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Nearer to the end than this counts as being there. */
const NEAR_PX = 48;

/** @param isAtEnd Whether it begins there. */
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
      // A window or keyboard that takes its place must not hide the newest line either.
      if (isFollowing.current) toEnd();
      // What is told above it takes some of its place, and must not move what is read.
      else if (moved !== 0) element.scrollTop += moved;
    };
    const observer = new ResizeObserver(resized);
    observer.observe(element);
    // Nor may a line that is formatted a moment after it came.
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => {
      element.removeEventListener("scroll", scrolled);
      observer.disconnect();
    };
  }, [ref, toEnd]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what changed is the reason to scroll
  useLayoutEffect(() => {
    const element = ref.current;
    if (element && isFollowing.current) element.scrollTop = element.scrollHeight;
  }, [ref, changed]);

  return { isAway, toEnd };
}
