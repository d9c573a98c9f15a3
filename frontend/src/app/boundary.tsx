/** What somebody sees when the page itself has a fault, instead of nothing at all. */
import { Component, type ReactNode } from "react";

interface Props {
  children: ReactNode;
  /** Called once nothing is on the page any more that a person could use. */
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
          <h1>Something went wrong on this page</h1>
          <p className="muted">
            The microphone is off. What was said and settled is kept by the server: load the page
            again to go on.
          </p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Load again
          </button>
        </div>
      </main>
    );
  }
}
