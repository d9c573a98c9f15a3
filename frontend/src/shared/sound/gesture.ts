/** User gestures: browsers let a page play audio once somebody has clicked or typed on it. */

const GESTURES = ["pointerup", "keydown"] as const;

/** Calls `act` on every click and key press; returns a function that stops this. */
export function onGesture(act: () => void): () => void {
  for (const gesture of GESTURES) addEventListener(gesture, act);
  return () => {
    for (const gesture of GESTURES) removeEventListener(gesture, act);
  };
}

/** Resumes a suspended context, at the latest on a click or key press. */
export function resumeWithGesture(context: AudioContext): void {
  if (context.state !== "suspended") return;
  // A context that was closed meanwhile can't be resumed and need not be.
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
