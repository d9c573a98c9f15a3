/** The agent's voice: on or off with one click, and how loud it is. */
import "../../../styles/volume.css";

import { type KeyboardEvent, useState } from "react";

import { useApp } from "../../../app/context.ts";
import { useStore } from "../../../shared/store/store.ts";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";

const STEP = 5;
/** Where it is turned on at no volume, it is to be heard. */
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
    // The slider shows where the pointer or the focus is, until Esc; it is there for ears always.
    // biome-ignore lint/a11y/noStaticElementInteractions: what is in it can be used
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
