/** The agent's voice: an on/off button and a volume slider. */
import "../../../styles/volume.css";

import { type KeyboardEvent, useState } from "react";

import { useApp } from "../../../app/context.ts";
import { useStore } from "../../../shared/store/store.ts";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";

const STEP = 5;
/** The volume if the voice is turned on while the slider is at 0. */
const AUDIBLE = 50;

export default function AgentVolume() {
  const { voice } = useApp();
  const { volume, isOff } = useStore(voice);
  const [isClosed, setClosed] = useState(false);
  const isHeard = !isOff && volume > 0;
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Escape") setClosed(true);
  };
  const open = () => setClosed(false);
  return (
    // The slider shows on hover or focus until Esc; screen readers always have it.
    // biome-ignore lint/a11y/noStaticElementInteractions: its children are interactive
    <div
      className="agent-volume"
      data-closed={isClosed}
      onKeyDown={pressed}
      onPointerLeave={open}
      onBlur={open}
    >
      <button
        type="button"
        className="icon-button"
        aria-label={texts.dockAgentVoice}
        aria-pressed={isHeard}
        onClick={() => voice.set({ volume: volume || AUDIBLE, isOff: isHeard })}
      >
        <Icon name={isHeard ? "speaker" : "silent"} />
      </button>
      <div className="agent-slider">
        <input
          type="range"
          min={0}
          max={100}
          step={STEP}
          value={isOff ? 0 : volume}
          aria-label={texts.dockVolume}
          aria-valuetext={texts.percent(isOff ? 0 : volume)}
          onChange={({ target }) => voice.set({ volume: target.valueAsNumber, isOff: false })}
        />
        <output aria-hidden="true">{texts.percent(isOff ? 0 : volume)}</output>
      </div>
    </div>
  );
}
