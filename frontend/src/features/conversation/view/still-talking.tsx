/** A bar on all other pages: says that the conversation is still active, and controls it. */
import { useRef } from "react";

import { useConversation } from "../../../app/context.ts";
import { Link, useLocation } from "../../../app/router.tsx";
import { useFocusHandedOn } from "../../../shared/ui/focus.ts";
import * as texts from "../../../texts.ts";
import { stillTalking } from "../messages.ts";
import { type Conversation, isRunning } from "../state.ts";
import { MicrophoneButton } from "./dock.tsx";
import { End } from "./new-chat.tsx";
import { RequestFailed } from "./notices.tsx";

export function StillTalking() {
  const state = useConversation();
  const { pathname } = useLocation();
  const { session } = state;
  // The start page leads to the conversation or starts one, and shows failures itself.
  if (pathname === "/" || (session !== null && pathname === `/c/${session.id}`)) return null;
  return (
    <>
      {state.isTalking && isRunning(state) && <Bar state={state} />}
      {state.request?.failure && (
        <div className="notices notices-above">
          <RequestFailed state={state} />
        </div>
      )}
    </>
  );
}

function Bar({ state }: { state: Conversation }) {
  const ref = useRef<HTMLElement>(null);
  useFocusHandedOn(ref);
  return (
    <section className="still-talking" ref={ref} aria-label={texts.conversationYours}>
      <MicrophoneButton state={state} />
      <p role="status">{stillTalking(state)}</p>
      <div className="still-ways">
        <End />
        <Link className="button primary" to={`/c/${state.session?.id}`}>
          {texts.conversationGoBack}
        </Link>
      </div>
    </section>
  );
}
