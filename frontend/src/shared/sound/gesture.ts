/** Browsers let a page sound once somebody has clicked or typed on it. */

const GESTURES = ["pointerup", "keydown"] as const;

/** Acts with every click and key, anywhere, until what it returns is called. */
export function onGesture(act: () => void): () => void {
  for (const gesture of GESTURES) addEventListener(gesture, act);
  return () => {
    for (const gesture of GESTURES) removeEventListener(gesture, act);
  };
}

/** Lets a context that waits for that go on with the first click or key. */
export function resumeWithGesture(context: AudioContext): void {
  if (context.state !== "suspended") return;
  // One that is closed meanwhile can't be resumed, and need not be.
  const resume = () => void context.resume().catch(() => {});
  const stop = onGesture(resume);
  const settle = () => {
    if (context.state === "suspended") return;
    stop();
    context.removeEventListener("statechange", settle);
  };
  context.addEventListener("statechange", settle);
  resume();
}
