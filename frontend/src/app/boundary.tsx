/** The error boundary: shown instead of a blank page if rendering fails. */
import { Component, type ReactNode } from "react";
import * as texts from "../texts.ts";

interface Props {
  children: ReactNode;
  /** Called once the page is unusable. */
  onBroken(): void;
}

export class Boundary extends Component<Props, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override componentDidCatch() {
    this.props.onBroken();
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main>
        <div className="centred" role="alert">
          <h1>{texts.brokenWhat}</h1>
          <p className="muted">{texts.brokenWay}</p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            {texts.reload}
          </button>
        </div>
      </main>
    );
  }
}
