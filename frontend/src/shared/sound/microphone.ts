/** Opens the microphone; reports its audio and its loss. */
import type { MicrophoneProblem } from "../../features/conversation/state.ts";
import worklet from "./capture.worklet.ts?worker&url";
import { resumeWithGesture } from "./gesture.ts";
import { problemOf } from "./refusal.ts";

const RATE = 16_000;

export interface MicrophoneListener {
  heard(pcm: ArrayBuffer, level: number): void;
  unplugged(): void;
}

export interface OpenMicrophone {
  /** The track for lines that carry tracks; silent while it is muted or not handed on. */
  readonly track: MediaStreamTrack;
  setMuted(isMuted: boolean): void;
  hand(isHandedOn: boolean): void;
  close(): void;
}

export class NoMicrophone extends Error {
  readonly problem: MicrophoneProblem;

  constructor(problem: MicrophoneProblem) {
    super(problem);
    this.problem = problem;
  }
}

/**
 * Opens the microphone, the chosen one if it is available.
 *
 * @throws NoMicrophone: when it can't be opened; `problem` says why.
 */
export async function openMicrophone(
  deviceId: string | null,
  listener: MicrophoneListener,
): Promise<OpenMicrophone> {
  const stream = await capture(deviceId);
  const [heard] = stream.getAudioTracks();
  const track = heard?.clone();
  const stop = () => {
    for (const each of [...stream.getTracks(), track]) each?.stop();
  };
  try {
    if (!heard || !track) throw new TypeError("a microphone without a track");
    heard.addEventListener("ended", () => listener.unplugged());
    const context = await wired(stream, listener);
    let [isMuted, isHandedOn] = [false, false];
    const apply = () => {
      heard.enabled = !isMuted;
      track.enabled = isHandedOn && !isMuted;
    };
    apply();
    return {
      track,
      setMuted(muted) {
        isMuted = muted;
        apply();
      },
      hand(on) {
        isHandedOn = on;
        apply();
      },
      close() {
        stop();
        void context.close();
      },
    };
  } catch {
    stop();
    throw new NoMicrophone("failed");
  }
}

/** Whether requesting the microphone prompts the person; on secure pages, assumed if unknown. */
export async function isPrompting(): Promise<boolean> {
  try {
    const { state } = await navigator.permissions.query({ name: "microphone" });
    return state === "prompt";
  } catch {
    return window.isSecureContext;
  }
}

async function capture(deviceId: string | null): Promise<MediaStream> {
  if (!window.isSecureContext || !navigator.mediaDevices) throw new NoMicrophone("insecure");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
      },
    });
  } catch (error) {
    throw new NoMicrophone(await problemOf(error));
  }
}

async function wired(stream: MediaStream, listener: MicrophoneListener): Promise<AudioContext> {
  const [context, source] = connected(stream);
  try {
    await context.audioWorklet.addModule(worklet);
  } catch (error) {
    void context.close();
    throw error;
  }
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }: MessageEvent<{ pcm: ArrayBuffer; level: number }>) =>
    listener.heard(data.pcm, data.level);
  source.connect(node);
  resumeWithGesture(context);
  return context;
}

/** Some browsers resample to our rate themselves; for others, which refuse to, we do it. */
function connected(stream: MediaStream): [AudioContext, MediaStreamAudioSourceNode] {
  const context = new AudioContext({ sampleRate: RATE });
  try {
    return [context, context.createMediaStreamSource(stream)];
  } catch {
    void context.close();
    const native = new AudioContext();
    return [native, native.createMediaStreamSource(stream)];
  }
}

/** The available microphones; their names are known once access has been allowed. */
export async function microphones(): Promise<MediaDeviceInfo[]> {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "");
}
