/** The microphone that the browser is asked for. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Sound } from "../../../src/shared/sound/sound.ts";
import { installed } from "../../equipment.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the microphone that is asked for", () => {
  /** Opens the microphone with this permission query; `told` records `microphoneAsked`. */
  async function asks(query: (() => Promise<{ state: string }>) | undefined) {
    const permissions = query && { query };
    vi.stubGlobal("navigator", { mediaDevices: navigator.mediaDevices, permissions });
    const told: boolean[] = [];
    const sound = new Sound({
      microphoneAsked: (isPrompting) => told.push(isPrompting),
      microphoneOn() {},
      microphoneFailed() {},
      silenced() {},
    });
    void sound.openMicrophone();
    return { told, sound, answer: () => vi.advanceTimersByTimeAsync(0) };
  }

  it.each([
    ["prompt", [false, true]],
    ["granted", [false]],
    ["denied", [false]],
  ])("is up to the person only where nothing is decided: %s", async (state, expected) => {
    const { told, answer } = await asks(async () => ({ state }));

    await answer();

    expect(told).toEqual(expected);
  });

  it("may be up to the person where the browser can't tell", async () => {
    const { told, answer } = await asks(undefined);

    await answer();

    expect(told).toEqual([false, true]);
  });

  it("is nothing that the page waits for any more when it is closed first", async () => {
    const { told, sound, answer } = await asks(async () => ({ state: "prompt" }));

    sound.closeMicrophone();
    await answer();

    expect(told).toEqual([false]);
  });
});
