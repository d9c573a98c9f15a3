/** This machine's microphones and the chosen one. */
import { useCallback, useEffect, useState } from "react";

import { useApp } from "../../../app/context.ts";
import { microphones } from "../../../shared/sound/microphone.ts";
import { useStore } from "../../../shared/store/store.ts";

export function useMicrophones() {
  const app = useApp();
  const chosen = useStore(app.microphone);
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[]>([]);
  const look = useCallback(() => void microphones().then(setDevices), []);
  useEffect(() => {
    look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [look]);
  return { devices, chosen, choose: (id: string) => app.chooseMicrophone(id || null) };
}
