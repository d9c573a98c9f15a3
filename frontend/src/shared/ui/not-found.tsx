import { Link } from "../../app/router.tsx";
import { NewChat } from "../../features/conversation/view/new-chat.tsx";
import * as texts from "../../texts.ts";
import { Head } from "./head.tsx";

export function NotFound() {
  return (
    <>
      <Head title={texts.notFoundTitle}>
        <NewChat />
      </Head>
      <div className="centred">
        <h2>{texts.notFoundWhat}</h2>
        <p className="muted">{texts.notFoundWay}</p>
        <Link className="button" to="/">
          {texts.toStartPage}
        </Link>
      </div>
    </>
  );
}
