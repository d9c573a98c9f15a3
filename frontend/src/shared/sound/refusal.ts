/** Why a browser does not hand over the microphone, told apart by what a person can do about it. */
import type { MicrophoneProblem } from "../../features/conversation/state.ts";

/** What `getUserMedia` was refused for. */
export async function problemOf(error: unknown): Promise<MicrophoneProblem> {
  switch ((error as DOMException).name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      // Where a page may not have one, some browsers and systems say that there is none.
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
    // Not every browser tells.
    return false;
  }
}
