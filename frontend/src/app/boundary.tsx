/** What somebody sees when the page itself has a fault, instead of nothing at all. */
import { Component, type ReactNode } from "react";

export class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main className="centred" role="alert">
        <h1>Something went wrong on this page</h1>
        <p className="muted">
          What was said and settled is kept by the server. Load the page again to go on.
        </p>
        <button type="button" className="button primary" onClick={() => location.reload()}>
          Load again
        </button>
      </main>
    );
  }
}
