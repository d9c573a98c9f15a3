/** The search bar of a conversation: the words, the number of matching lines, and buttons to step
 * through them. The address holds the words and the current line, so a reload shows the same. */
import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { useApp } from "../../../app/context.ts";
import { useLocation, useNavigate } from "../../../app/router.tsx";
import { useStore } from "../../../shared/store/store.ts";
import { type FoundLines, NOTHING_FOUND } from "../../../shared/transcript/found.ts";
import { marked } from "../../../shared/transcript/snippet.ts";
import { useFocusHandedOn } from "../../../shared/ui/focus.ts";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import { askedIn, searchOf } from "./address.ts";
import { beside, Finding, type Found, placeOf } from "./finding.ts";

const PAUSE_MS = 180;
/** Delay after a change before a running conversation is searched again. */
const ANEW_MS = 1000;

export interface FindProps {
  id: string;
  /** The session's version; a change repeats the search. */
  version: number | undefined;
  /** Whether the current line is on the page. */
  isThere: boolean;
  onFound(found: FoundLines): void;
}

export default function Find({ id, version, isThere, onFound }: FindProps) {
  const { api } = useApp();
  const navigate = useNavigate();
  const { search: address, key } = useLocation();
  const { search, line } = askedIn(address);
  const words = search ?? "";
  const finding = useMemo(() => new Finding(api, id), [api, id]);
  const found = useStore(finding.found);
  const bar = useRef<HTMLElement>(null);
  useFocusHandedOn(bar, () => document.querySelector(".scroll"));

  useEffect(() => {
    void finding.search(words);
    return () => finding.stop();
  }, [finding, words]);
  const seen = useRef(version);
  useEffect(() => {
    if (seen.current === version) return;
    seen.current = version;
    const timer = setTimeout(() => void finding.search(words), ANEW_MS);
    return () => clearTimeout(timer);
  }, [finding, words, version]);

  const shown = useMemo(
    () => ({ marked: new Map(found.matches.map((each) => [each.id, each.marked])), current: line }),
    [found.matches, line],
  );
  useEffect(() => onFound(shown), [shown, onFound]);
  useEffect(() => () => onFound(NOTHING_FOUND), [onFound]);

  // An address without a line gets the first match.
  const isOf = found.search === words;
  const first = isOf && line === null ? found.matches[0]?.id : undefined;
  useEffect(() => {
    if (first) navigate({ search: searchOf(words, first) }, { replace: true });
  }, [navigate, words, first]);

  const isMarked = line !== null && shown.marked.has(line);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each navigation shows the line again
  useLayoutEffect(() => {
    if (line !== null && isThere) show(line);
  }, [line, isThere, isMarked, key]);

  const go = (step: 1 | -1) => {
    const next = beside(found, line, step);
    if (next) navigate({ search: searchOf(words, next.id) }, { replace: true });
  };
  useKeys(go);
  const close = () => navigate({ search: "" }, { replace: true });

  return (
    <search className="find" ref={bar} aria-label={texts.findInConversation}>
      <Field words={words} onGo={go} onClose={close} />
      <Count found={found} line={line} onRetry={() => void finding.search(words)} />
      <Step label={texts.findPrevious} icon="up" found={found} onClick={() => go(-1)} />
      <Step label={texts.findNext} icon="down" found={found} onClick={() => go(1)} />
      <button type="button" className="icon-button" aria-label={texts.findClose} onClick={close}>
        <Icon name="close" />
      </button>
    </search>
  );
}

/** Scrolls the first match in a line, or the line itself, to the middle. */
function show(id: string): void {
  const line = document.getElementById(id);
  const toMiddle = () => (line?.querySelector("mark") ?? line)?.scrollIntoView({ block: "center" });
  toMiddle();
  // Off-screen content may be laid out only now, with another height than estimated.
  requestAnimationFrame(toMiddle);
}

/** F3 goes to the next match, wherever the focus is. */
function useKeys(go: (step: 1 | -1) => void): void {
  const latest = useRef(go);
  latest.current = go;
  useEffect(() => {
    const pressed = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "F3" || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      latest.current(event.shiftKey ? -1 : 1);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

interface FieldProps {
  words: string;
  onGo(step: 1 | -1): void;
  onClose(): void;
}

function Field({ words, onGo, onClose }: FieldProps) {
  const navigate = useNavigate();
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const look = (text: string) => {
    clearTimeout(timer.current);
    if (text.trim() !== words.trim())
      navigate({ search: searchOf(text.trim(), null) }, { replace: true });
  };
  // Another result was opened: show its words unless somebody is typing.
  useEffect(() => {
    const input = field.current;
    if (input && input.value.trim() !== words.trim() && document.activeElement !== input)
      input.value = words;
  }, [words]);
  const isEmpty = useRef(words === "");
  useEffect(() => {
    // The bar was opened for typing.
    if (isEmpty.current) field.current?.focus();
    return () => clearTimeout(timer.current);
  }, []);
  const pressed = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      onClose();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const text = event.currentTarget.value;
      if (text.trim() === words.trim()) onGo(event.shiftKey ? -1 : 1);
      else look(text);
    }
  };
  return (
    <input
      ref={field}
      type="search"
      dir="auto"
      aria-label={texts.findInConversation}
      placeholder={texts.findInConversation}
      defaultValue={words}
      onChange={({ target: { value } }) => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => look(value), PAUSE_MS);
      }}
      onKeyDown={pressed}
    />
  );
}

interface CountProps {
  found: Found;
  line: string | null;
  onRetry(): void;
}

function Count({ found, line, onRetry }: CountProps) {
  if (found.failure)
    return (
      <p className="find-count" role="alert">
        {problem(found.failure)}{" "}
        <button type="button" className="link" onClick={onRetry}>
          {texts.tryAgain}
        </button>
      </p>
    );
  const at = placeOf(found, line);
  const match = found.matches[at];
  return (
    <p className="find-count" role="status">
      {found.total !== null && texts.findCount(at + 1, found.total)}
      {/* For screen readers: the current match. */}
      {match && <span className="unseen"> {marked(match.marked).join("")}</span>}
    </p>
  );
}

interface StepProps {
  label: string;
  icon: "up" | "down";
  found: Found;
  onClick(): void;
}

function Step({ label, icon, found, onClick }: StepProps) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      aria-disabled={found.matches.length === 0}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
