/** The router: addresses below the base path, links and navigation.
 *
 * Four pages need only the browser's history; react-router was 9 kB of the first load.
 */
import { type ComponentProps, type MouseEvent, useLayoutEffect, useSyncExternalStore } from "react";

import { BASE } from "../shared/api/base.ts";
import { newKey } from "./keys.ts";

export interface Place {
  /** Below the base path; begins with a slash. */
  pathname: string;
  search: string;
  /** New for each navigation, even to the same address. */
  key: string;
}

/** An address below the base path, or only another query for the same page. */
export type To = string | { search: string };

const watchers = new Set<() => void>();
let place: Place | null = null;

function read(): Place {
  const pathname = location.pathname.slice(BASE.length) || "/";
  return { pathname, search: location.search, key: history.state?.key ?? "" };
}

function moved(): void {
  place = read();
  for (const watcher of watchers) watcher();
}

function watch(watcher: () => void): () => void {
  if (watchers.size === 0) addEventListener("popstate", moved);
  watchers.add(watcher);
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) removeEventListener("popstate", moved);
  };
}

function here(): Place {
  place ??= read();
  return place;
}

/** Goes to a page; `replace` replaces the current history entry. */
export function navigate(to: To, { replace = false } = {}): void {
  const address = BASE + (typeof to === "string" ? to : here().pathname + to.search);
  const state = { key: newKey() };
  if (replace) history.replaceState(state, "", address);
  else history.pushState(state, "", address);
  moved();
}

export type NavigateFunction = typeof navigate;

export const useNavigate = (): NavigateFunction => navigate;

export const useLocation = (): Place => useSyncExternalStore(watch, here);

export function Link({ to, onClick, ...rest }: ComponentProps<"a"> & { to: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const isForBrowser = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || event.button !== 0 || isForBrowser) return;
    event.preventDefault();
    const { pathname, search } = here();
    navigate(to, { replace: pathname + search === to });
  };
  return <a {...rest} href={BASE + to} onClick={follow} />;
}

/** A link that sets `aria-current` if it leads to the current page. */
export function NavLink(props: ComponentProps<typeof Link>) {
  const { pathname } = useLocation();
  const isHere = props.to.split("?")[0] === pathname;
  return <Link {...props} aria-current={isHere ? "page" : undefined} />;
}

/** Redirects instead of showing something. */
export function Navigate({ to }: { to: string }) {
  useLayoutEffect(() => navigate(to, { replace: true }), [to]);
  return null;
}
