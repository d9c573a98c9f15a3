/** The edge of the loaded lines of a conversation: loads more when it comes near the view. */
import { useEffect, useRef } from "react";

import { useStore } from "../../../shared/store/store.ts";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import type { Reading, Way } from "../past/reading.ts";

export function Edge({ reading, way }: { reading: Reading; way: Way }) {
  const { past, stuck } = useStore(reading.read);
  const ref = useRef<HTMLDivElement>(null);
  const isStuck = stuck?.way === way;
  const cursor = past?.[way] ?? null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: observe again after each page
  useEffect(() => {
    const element = ref.current;
    if (!element || isStuck) return;
    const observer = new IntersectionObserver(
      ([entry]) => entry?.isIntersecting && void reading.more(way),
      { root: element.closest(".scroll"), rootMargin: "1000px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [reading, way, cursor, isStuck, past]);
  if (cursor === null) return null;
  return (
    <div className="edge muted" ref={ref}>
      {isStuck ? (
        <p role="alert">
          {problem(stuck.failure)}{" "}
          <button type="button" className="link" onClick={() => void reading.more(way)}>
            {texts.tryAgain}
          </button>
        </p>
      ) : (
        <p>{texts.pastLoadingMore}</p>
      )}
    </div>
  );
}
