/** The header of a conversation's page: its title, editable in place, and a menu of actions. */
import { type ReactNode, useRef, useState } from "react";
import { useApp } from "../../../app/context.ts";
import { useLocation, useNavigate } from "../../../app/router.tsx";
import { failureOf } from "../../../shared/api/client.ts";
import { Head } from "../../../shared/ui/head.tsx";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";
import { useDoing } from "../list/doing.tsx";
import { More } from "../list/more.tsx";
import { searchOf } from "./address.ts";

/** Loaded when the pointer or focus is near, because most people never copy anything. */
const copies = () => import("./copying.ts");

interface Props {
  session: Session;
  detail: ReactNode;
  children?: ReactNode;
}

export function SessionHead({ session, detail, children }: Props) {
  const app = useApp();
  const navigate = useNavigate();
  const { search } = useLocation();
  const title = useRef<HTMLButtonElement>(null);
  const { field, dialog, rename, ways } = useDoing(session, () => title.current);
  const [renaming, deleting] = ways;
  const [isNear, setNear] = useState(false);
  const near = () => {
    setNear(true);
    copies().catch(() => {});
  };
  const copy = async (what: "transcript" | "id") => {
    try {
      const { copyId, copyTranscript } = await copies();
      await (what === "id" ? copyId : copyTranscript)(app, session);
    } catch (error) {
      app.toasts.tell(problem(failureOf(error)));
    }
  };
  const find = () => {
    if (!new URLSearchParams(search).has("q")) navigate({ search: searchOf("", null) });
  };
  return (
    <Head
      title={session.title}
      heading={
        field ? (
          <>
            <h1 className="unseen">{session.title}</h1>
            {field}
          </>
        ) : (
          <h1>
            <button
              type="button"
              ref={title}
              className="title"
              dir="auto"
              title={texts.historyRename}
              onClick={rename}
            >
              {session.title}
            </button>
          </h1>
        )
      }
      detail={detail}
    >
      {children}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it only preloads code */}
      <div className="head-more" onPointerEnter={near} onFocus={near}>
        <More
          label={texts.conversationOptions}
          className="head-more-button"
          isNear={isNear}
          ways={[
            { label: texts.findInConversation, run: find },
            renaming,
            { label: texts.copyTranscript, run: () => void copy("transcript") },
            { label: texts.copyId, run: () => void copy("id") },
            deleting,
          ]}
        />
      </div>
      {dialog}
    </Head>
  );
}
