import { Link } from "react-router";

import { Head } from "../ui/head.tsx";
import { NewChat } from "../ui/new-chat.tsx";

export function NotFound() {
  return (
    <>
      <Head title="Nothing here">
        <NewChat />
      </Head>
      <div className="centred">
        <h2>There is no such page</h2>
        <p className="muted">The address may be mistyped, or what it led to is gone.</p>
        <Link className="button" to="/">
          To the first page
        </Link>
      </div>
    </>
  );
}
