import { Link } from "react-router";

import { Head } from "../ui/head.tsx";

export function NotFound() {
  return (
    <>
      <Head title="Nothing here" />
      <div className="centred">
        <h2>There is no such page</h2>
        <p className="muted">The address may be mistyped, or what it led to is gone.</p>
        <Link className="button primary" to="/">
          Talk instead
        </Link>
      </div>
    </>
  );
}
