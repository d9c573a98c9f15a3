import { useCallback, useEffect, useId, useState } from "react";

import { useApp } from "../../app/context.ts";
import { recall, remember } from "../../app/storage.ts";
import { microphones } from "../../sound/microphone.ts";

export function Devices() {
  const { sound } = useApp();
  const id = useId();
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const [chosen, setChosen] = useState(() => recall("microphone") ?? "");
  const look = useCallback(() => void microphones().then(setDevices), []);
  useEffect(() => {
    look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [look]);

  const choose = (deviceId: string) => {
    setChosen(deviceId);
    remember("microphone", deviceId || null);
    sound.choose(deviceId || null);
  };
  return (
    <section>
      <h2>Microphone</h2>
      <label htmlFor={id} className="muted">
        {devices.length
          ? "Used from now on"
          : "The names appear once a page may use the microphone"}
      </label>
      <select id={id} value={chosen} onChange={(event) => choose(event.target.value)}>
        <option value="">The system's choice</option>
        {devices.map((device) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || "Microphone"}
          </option>
        ))}
      </select>
    </section>
  );
}
