/** Level meters of both sides, drawn every frame without React. */
import { useEffect, useRef } from "react";

import { useApp } from "../../../app/context.ts";
import type { Levels } from "../../../shared/sound/sound.ts";

/** Speech levels are low in the range; this spreads them over the visible range. */
const seen = (level: number): number => Math.min(1, Math.sqrt(level) * 2.2);

function useLevel(side: keyof Levels, draw: (element: HTMLElement, level: number) => void) {
  const { sound } = useApp();
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let shown = 0;
    let frame = requestAnimationFrame(function paint() {
      const level = seen(sound.levels[side]);
      // Rise at once, fall slowly, like other meters.
      const next = Math.max(level, shown * 0.85);
      if (ref.current && Math.abs(next - shown) > 0.002) draw(ref.current, next);
      shown = next;
      frame = requestAnimationFrame(paint);
    });
    return () => cancelAnimationFrame(frame);
  }, [sound, side, draw]);
  return ref;
}

const SHAPE = [0.45, 0.8, 1, 0.7, 0.4];

function drawBars(element: HTMLElement, level: number): void {
  for (let i = 0; i < SHAPE.length; i++) {
    const bar = element.children[i] as HTMLElement;
    bar.style.transform = `scaleY(${(0.16 + 0.84 * level * (SHAPE[i] ?? 1)).toFixed(3)})`;
  }
}

/** Five bars: the agent's voice, or the person's. */
export function Voice({ side, tone }: { side: keyof Levels; tone: string }) {
  const ref = useLevel(side, drawBars);
  return (
    <span className="voice" ref={ref} data-tone={tone} aria-hidden="true">
      {SHAPE.map((height) => (
        <i key={height} />
      ))}
    </span>
  );
}

function drawRing(element: HTMLElement, level: number): void {
  element.style.transform = `scale(${(1 + level * 0.32).toFixed(3)})`;
}

/** The person's voice: a ring around the microphone. */
export function OwnVoice() {
  const ref = useLevel("person", drawRing);
  return <span className="own-voice" ref={ref} aria-hidden="true" />;
}
