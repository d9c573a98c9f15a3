/** Browsers let a page sound once somebody has clicked or typed on it. */

const GESTURES = ["pointerup", "keydown"] as const;

/** Lets a context that waits for that go on with the first click or key, anywhere. */
export function resumeWithGesture(context: AudioContext): void {
  const resume = () => void context.resume();
  const settle = () => {
    if (context.state === "suspended") return;
    for (const gesture of GESTURES) removeEventListener(gesture, resume);
    context.removeEventListener("statechange", settle);
  };
  if (context.state !== "suspended") return;
  for (const gesture of GESTURES) addEventListener(gesture, resume);
  context.addEventListener("statechange", settle);
  resume();
}
