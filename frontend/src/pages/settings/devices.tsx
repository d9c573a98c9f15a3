import { useId } from "react";

import { useMicrophones } from "../../ui/use-microphones.ts";

export function Devices() {
  const id = useId();
  const { devices, chosen, choose } = useMicrophones();
  return (
    <section>
      <h2>Microphone</h2>
      <label htmlFor={id} className="muted">
        {devices.length
          ? "Used from now on"
          : "The names appear once a page may use the microphone"}
      </label>
      <select id={id} value={chosen ?? ""} onChange={(event) => choose(event.target.value)}>
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
