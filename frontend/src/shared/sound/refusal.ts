/** Why a browser refuses the microphone, classified by what a person can do about it. */
import type { MicrophoneProblem } from "../../features/conversation/state.ts";

/** Converts an error from `getUserMedia` into a problem. */
export async function problemOf(error: unknown): Promise<MicrophoneProblem> {
  switch ((error as DOMException).name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      // Some browsers and systems report a blocked microphone as missing.
      return (await isBlocked()) ? "denied" : "missing";
    default:
      return (await isBlocked()) ? "denied" : "failed";
  }
}

async function isBlocked(): Promise<boolean> {
  try {
    const { state } = await navigator.permissions.query({ name: "microphone" });
    return state === "denied";
  } catch {
    // Not every browser can tell.
    return false;
  }
}
