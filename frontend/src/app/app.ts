/** What lives as long as the page: the connection, the conversation, the history and the login. */

import { Drafts } from "../features/conversation/drafts.ts";
import { Driver } from "../features/conversation/driver.ts";
import {
  type Connection,
  type Hearing,
  isBusy,
  isOver,
  type Session,
} from "../features/conversation/state.ts";
import type { Unsent } from "../features/conversation/transcript.ts";
import { UnsentLines } from "../features/conversation/unsent.ts";
import { Voice } from "../features/conversation/voice.ts";
import { Deletions } from "../features/history/list/deletions.ts";
import { History } from "../features/history/list/history.ts";
import { isAt } from "../shared/api/base.ts";
import { type Api, createApi, failureOf } from "../shared/api/client.ts";
import type { Failure } from "../shared/api/failure.ts";
import {
  HistoryCountDocument,
  SessionDocument,
  SignInAsGuestDocument,
  SignInDocument,
  SignOutDocument,
  SignUpDocument,
  ViewerDocument,
  type ViewerQuery,
} from "../shared/api/generated/graphql.ts";
import type { LineListener } from "../shared/sound/line.ts";
import { Sound } from "../shared/sound/sound.ts";
import { recall, remember } from "../shared/store/storage.ts";
import { Store } from "../shared/store/store.ts";
import * as texts from "../texts.ts";
import { Online, reaches } from "./online.ts";
import type { NavigateFunction } from "./router.tsx";
import { Toasts } from "./toasts.ts";

export type Viewer = NonNullable<ViewerQuery["viewer"]>;

export type Presence =
  | { is: "loading" }
  | { is: "unknown"; failure: Failure }
  | { is: "away"; wasHere: boolean }
  | { is: "here"; viewer: Viewer };

export class App {
  readonly api: Api;
  readonly driver: Driver;
  readonly history: History;
  readonly deletions: Deletions;
  readonly sound: Sound;
  readonly toasts = new Toasts();
  readonly drafts = new Drafts();
  readonly unsent = new UnsentLines();
  /** The chosen microphone; null is the system default. */
  readonly microphone = new Store<string | null>(recall("microphone"));
  readonly online: Online;
  readonly voice = new Voice((gain) => this.sound.setVolume(gain));
  readonly presence = new Store<Presence>({ is: "loading" });
  #lastId: string | null = null;
  /** Counts viewer requests: an old login may end while a new one starts, and an answer under the
   * old one must not sign out the new person. */
  #looks = 0;
  /** Whether the account that signs in takes over the guest's conversations. */
  #movesAlong = false;
  readonly #copies = new BroadcastChannel("voxql.takenBack");
  /** Set by `Pages` once it is mounted. */
  navigate: NavigateFunction = () => {};

  constructor(origin: string) {
    this.api = createApi(origin, fetch, () => this.sound.loseLine());
    this.history = new History(this.api, () => void this.look());
    this.deletions = new Deletions(this.history, this.toasts, (id) => this.#deleted(id));
    this.sound = new Sound({
      microphoneAsked: (isPrompting) =>
        this.driver.dispatch({ type: "microphoneAsked", isPrompting }),
      microphoneOn: () => this.driver.dispatch({ type: "microphoneOn" }),
      microphoneFailed: (problem) => this.driver.dispatch({ type: "microphoneFailed", problem }),
      silenced: (isSilenced) => this.driver.dispatch({ type: "silenced", isSilenced }),
    });
    this.driver = new Driver(this.api, this.#soundSystem(origin), {
      show: (id) => {
        this.drafts.carryTo(id);
        this.navigate(`/c/${id}`);
      },
      // Don't interrupt somebody who is on another page.
      hide: (id) => void (isAt(`/c/${id}`) && this.navigate("/")),
      remember: (id) => remember("talking", id),
      tellSaved: ({ isSaved, session }, wasUsed) => {
        this.history.take(session);
        if (isSaved && wasUsed) this.toasts.tell(texts.historySaved);
      },
      handedOver: (id) => this.unsent.drop(id),
      tellSignedOut: () => void this.look(),
      log: (what, failure) => this.#log(what, failure),
    });
    this.driver.watch(() => this.unsent.follow(this.driver.state));
    this.sound.choose(this.microphone.value);
    this.online = new Online(() => reaches(origin));
    this.online.watch(() => this.#networkChanged(this.online.value));
    // A copy of this tab holds the same lines and must not send those taken back here.
    this.#copies.onmessage = ({ data }) => this.driver.dispatch({ type: "takeBack", key: data });
    addEventListener("pagehide", () => this.deletions.leave());
  }

  #networkChanged(isOnline: boolean): void {
    this.driver.dispatch({ type: isOnline ? "online" : "offline" });
    // A dead connection may seem open for a while; streams resume by their cursors.
    if (!isOnline) this.api.reconnect();
  }

  #soundSystem(origin: string) {
    const { sound } = this;
    return {
      set hearing(hearing: Hearing) {
        sound.hearing = hearing;
      },
      openLine: (connection: Connection, on: LineListener) =>
        sound.openLine(connection, origin, on),
      closeLine: () => sound.closeLine(),
      openMicrophone: () => {
        sound.unlock();
        void sound.openMicrophone();
      },
      closeMicrophone: () => sound.closeMicrophone(),
      mute: (isMuted: boolean) => sound.mute(isMuted),
    };
  }

  /** A conversation is deleted for good: drops its data and leaves its page. */
  #deleted(id: string): void {
    this.unsent.drop(id);
    // The driver may not know yet and would lead back to the deleted conversation.
    const isHere = this.driver.state.session?.id === id;
    if (isHere && !isBusy(this.driver.state)) this.driver.dispatch({ type: "leave" });
    this.leavePage(id);
  }

  /** Goes to the start page if the conversation's page is shown; returns whether it was. */
  leavePage(id: string): boolean {
    const isShown = isAt(`/c/${id}`);
    if (isShown) this.navigate("/");
    return isShown;
  }

  /** Hides an ended conversation and deletes it unless that is undone. */
  delete(session: Session): void {
    const { id } = session;
    const isHere = this.driver.state.session?.id === id;
    if (isHere && !isBusy(this.driver.state)) this.driver.dispatch({ type: "leave" });
    const wasShown = this.leavePage(id);
    // Go back to it unless the person has moved on.
    this.deletions.begin(session, () => void (wasShown && isAt("/") && this.navigate(`/c/${id}`)));
  }

  /** Deletes a running conversation at once, for everybody. */
  async deleteNow(session: Session): Promise<void> {
    await this.history.remove(session.id);
    this.#deleted(session.id);
    this.toasts.tell(texts.historyDeleted);
  }

  #log(what: string, failure: Failure): void {
    // biome-ignore lint/suspicious/noConsole: details for investigating a failure
    console.error(`VoxQL: ${what}`, failure);
  }

  /** Closes audio until a reload, because nobody can mute or end any more. */
  silence(): void {
    this.sound.closeMicrophone();
    this.sound.closeLine();
  }

  chooseMicrophone(deviceId: string | null): void {
    this.microphone.set(deviceId);
    remember("microphone", deviceId);
    this.sound.choose(deviceId);
  }

  /** Asks the server who is signed in. */
  async look(): Promise<void> {
    const asked = ++this.#looks;
    try {
      const { viewer } = await this.api.query(ViewerDocument, {});
      if (asked !== this.#looks) return;
      if (viewer) this.#enter(viewer);
      else this.#leave();
    } catch (error) {
      if (this.presence.value.is !== "here")
        this.presence.set({ is: "unknown", failure: failureOf(error) });
    }
  }

  async signInAsGuest(): Promise<void> {
    await this.api.mutate(SignInAsGuestDocument, {});
    await this.#changed();
  }

  async signIn(email: string, password: string, claimGuestSessions: boolean): Promise<void> {
    await this.deletions.finish();
    const count = claimGuestSessions ? await this.#countOfGuest() : 0;
    await this.api.mutate(SignInDocument, { input: { email, password, claimGuestSessions } });
    this.#movesAlong = claimGuestSessions;
    await this.#changed();
    this.#tellMoved(count);
  }

  async signUp(email: string, password: string): Promise<void> {
    const count = await this.#countOfGuest();
    await this.api.mutate(SignUpDocument, { input: { email, password } });
    await this.#changed();
    this.#tellMoved(count);
  }

  /** The number of the guest's conversations; 0 for others, and if the request fails. */
  async #countOfGuest(): Promise<number> {
    const { value } = this.presence;
    if (value.is !== "here" || !value.viewer.isGuest) return 0;
    try {
      const { sessionHistory } = await this.api.query(HistoryCountDocument, {});
      return sessionHistory?.totalCount ?? 0;
    } catch (error) {
      this.#log("the guest's conversations were not counted", failureOf(error));
      return 0;
    }
  }

  #tellMoved(count: number): void {
    if (count > 0) this.toasts.tell(texts.accountHas(count));
  }

  /** Signs out. If that fails, throws the failure and keeps the login. */
  async signOut(): Promise<void> {
    const who = this.#lastId;
    await this.deletions.finish();
    await this.api.mutate(SignOutDocument, {});
    // The answer was late: another person has signed in since.
    if (this.#lastId !== who) return this.look();
    this.drafts.clear();
    this.unsent.clear();
    this.driver.dispatch({ type: "leave" });
    this.api.reconnect();
    this.#leave();
    this.navigate("/");
  }

  /** The login has changed: reconnects what was connected under the old one. */
  async #changed(): Promise<void> {
    this.#looks++;
    this.api.reconnect();
    const { viewer } = await this.api.query(ViewerDocument, {});
    if (viewer) this.#enter(viewer);
  }

  #enter(viewer: Viewer): void {
    const before = this.presence.value;
    this.drafts.belongTo(viewer.id, this.#movesAlong);
    this.unsent.belongTo(viewer.id, this.#movesAlong);
    this.voice.belongTo(viewer.id);
    this.presence.set({ is: "here", viewer });
    const isSame = before.is === "here" && before.viewer.id === viewer.id;
    if (!isSame) this.history.start();
    if (before.is === "loading" || before.is === "unknown") void this.#goOn();
    // Another person must not see the previous person's conversation.
    if (this.#lastId !== null && this.#lastId !== viewer.id && !this.#movesAlong)
      this.driver.dispatch({ type: "leave" });
    else this.driver.dispatch({ type: "signedIn" });
    this.#lastId = viewer.id;
    this.#movesAlong = false;
  }

  /** After a reload on any page, continues the conversation that this tab was talking in. */
  async #goOn(): Promise<void> {
    const id = recall("talking");
    if (id === null) return;
    try {
      const { session } = await this.api.query(SessionDocument, { id });
      if (!session) return;
      if (isOver(session)) {
        remember("talking", null);
        // The conversation's own page uploads and shows the lines by itself.
        if (!isAt(`/c/${id}`)) await this.handIn(id);
      } else if (this.driver.state.session === null) this.takeUp(session, true);
    } catch (error) {
      // The conversation's own page says why. Keep nothing of one that is gone for good.
      const { kind } = failureOf(error);
      if (kind !== "not-found" && kind !== "forbidden") return;
      remember("talking", null);
      this.unsent.drop(id);
    }
  }

  /** Attaches to a running conversation, with its unsent lines. */
  takeUp(session: Session, isTalking: boolean): void {
    const unsent = this.unsent.of(session.id);
    this.driver.dispatch({ type: "attach", session, isTalking, unsent });
  }

  /** Removes a typed line that was never sent; `isToChange` puts it back into the field. */
  takeBack({ key, text }: Unsent, isToChange: boolean): void {
    const { pending, session } = this.driver.state;
    this.driver.dispatch({ type: "takeBack", key });
    if (session === null || this.driver.state.pending === pending) return;
    this.#copies.postMessage(key);
    if (isToChange) this.drafts.putBack(session.id, text);
  }

  /** Uploads the unsent lines of an ended conversation; returns whether any were uploaded. */
  async handIn(id: string): Promise<boolean> {
    try {
      return await this.unsent.handIn(this.api, id);
    } catch (error) {
      this.#log("unsent lines", failureOf(error));
      return false;
    }
  }

  #leave(): void {
    const before = this.presence.value;
    const wasHere = before.is === "here" || (before.is === "away" && before.wasHere);
    this.presence.set({ is: "away", wasHere });
    this.driver.dispatch({ type: "signedOut" });
    this.history.stop();
    this.drafts.hide();
    this.unsent.hide();
    this.deletions.drop();
    // The next person must not see the previous person's notes.
    this.toasts.clear();
  }
}
