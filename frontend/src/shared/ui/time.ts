/** Formats times and durations for people. */
import * as texts from "../../texts.ts";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const clock = (at: string): string => CLOCK.format(new Date(at));

/** Such as "Today, 10:41" or "Monday 3 November, 10:41". */
export const moment = (at: string, now = new Date()): string => `${day(at, now)}, ${clock(at)}`;

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

/** Such as "Monday, 3 November 2026", for text that is read on other days, too. */
export const date = (at: string): string => DATE.format(new Date(at));

const midnight = (date: Date): number =>
  new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

/** "Today", "Yesterday", or the weekday and date; with the year if it is not the current one. */
export function day(moment: string, now: Date): string {
  const date = new Date(moment);
  const days = Math.round((midnight(now) - midnight(date)) / 86_400_000);
  if (days === 0) return texts.today;
  if (days === 1) return texts.yesterday;
  const name = DAY.format(date);
  return date.getFullYear() === now.getFullYear() ? name : `${name} ${date.getFullYear()}`;
}

/** Such as "45 s", "3 min" or "1 h 20 min". */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return texts.seconds(seconds);
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return texts.minutes(minutes);
  return texts.hours(Math.floor(minutes / 60), minutes % 60);
}
