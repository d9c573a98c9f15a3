import { useId } from "react";
import * as texts from "../../../texts.ts";
import { useMicrophones } from "../../conversation/view/use-microphones.ts";

export function Devices() {
  const title = useId();
  const hint = useId();
  const { devices, chosen, choose } = useMicrophones();
  return (
    <section>
      <h2 id={title}>{texts.microphoneTitle}</h2>
      {devices.length === 0 && (
        <p id={hint} className="muted">
          {texts.microphoneNamesLater}
        </p>
      )}
      <select
        aria-labelledby={title}
        aria-describedby={devices.length === 0 ? hint : undefined}
        value={chosen ?? ""}
        onChange={(event) => choose(event.target.value)}
      >
        <option value="">{texts.microphoneSystemDefault}</option>
        {devices.map((device) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || texts.microphoneUnnamed}
          </option>
        ))}
      </select>
    </section>
  );
}
