/** The search field of the history: searches after each pause in typing. */
import { useRef } from "react";

import { useApp, useHistory } from "../../../app/context.ts";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";

const PAUSE_MS = 180;

export function Search() {
  const { history } = useApp();
  const { search } = useHistory();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const field = useRef<HTMLInputElement>(null);
  const typed = (text: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => history.search(text.trim()), text ? PAUSE_MS : 0);
  };
  return (
    <search className="search">
      <Icon name="search" size={18} />
      <input
        id="search"
        ref={field}
        type="search"
        dir="auto"
        aria-label={texts.historySearch}
        placeholder={texts.historySearch}
        defaultValue={search}
        onChange={(event) => typed(event.target.value)}
        onKeyDown={(event) => {
          // In an empty field, Esc is for whatever contains the search.
          if (event.key !== "Escape" || !field.current?.value) return;
          event.preventDefault();
          field.current.value = "";
          typed("");
        }}
      />
    </search>
  );
}
