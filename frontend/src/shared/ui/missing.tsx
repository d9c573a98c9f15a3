/** Shown in place of a piece of the page that can't be loaded. */
import * as texts from "../../texts.ts";

export function PieceMissing() {
  return (
    <div className="centred" role="alert">
      <h2>{texts.pieceMissingWhat}</h2>
      <p className="muted">{texts.pieceMissingWay}</p>
      <button type="button" className="button" onClick={() => location.reload()}>
        {texts.reload}
      </button>
    </div>
  );
}
