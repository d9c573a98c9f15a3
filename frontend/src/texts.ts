/** All texts of the page in one place. A translation is one more file of this shape.
 *
 * The voice: plain and warm, short sentences in sentence case, verbs on buttons. A text says what
 * happened and what to do next, and blames nobody.
 */

import type { MicrophoneProblem } from "./features/conversation/state.ts";
import type { FailureKind } from "./shared/api/failure.ts";

const LANGUAGE = "en";
const PLURALS = new Intl.PluralRules(LANGUAGE);

/** A count with its noun in the right plural form. */
function counted(count: number, forms: Partial<Record<Intl.LDMLPluralRule, string>>): string {
  return `${count} ${forms[PLURALS.select(count)] ?? forms.other}`;
}

const MATCHING_LINES = { one: "matching line", other: "matching lines" };

/** Quotes a person's words; their text direction does not affect the rest of the sentence. */
const quoted = (words: string) => `“\u2068${words}\u2069”`;

/** Texts used in many places. */
export const product = "VoxQL";
export const titled = (title: string) => `${title} · ${product}`;
export const lines = (count: number) => counted(count, { one: "line", other: "lines" });
export const tryAgain = "Try again";
export const cancel = "Cancel";
export const close = "Close";
export const copy = "Copy";
export const copied = "Copied";
export const notCopied = (keys: string) => `Couldn't copy this. It's selected now: press ${keys}.`;
export const dismiss = "Dismiss";
export const undo = "Undo";
export const done = "Done";
export const reload = "Reload page";
export const starting = "Starting…";
export const saving = "Saving…";
export const statusFinishSentence = "Finish your sentence…";
export const signIn = "Sign in";
export const createAccount = "Create account";
export const continueAsGuest = "Continue as guest";
export const signedOut = "You're signed out.";
export const isSaved = "Your conversation is saved.";
export const wordsAppear = "Your words appear here as you speak.";
export const noAgentYet = "No agent yet";
export const toStartPage = "Go to start page";

/** For programs other than browsers, and for browsers before the page has loaded. */
export const html = {
  title: product,
  description: "Talk with a voice agent. Every word is saved and easy to find again.",
  noScript: "VoxQL needs JavaScript to hear you. Turn it on and reload the page.",
};

/** Times and durations. */
export const today = "Today";
export const yesterday = "Yesterday";
export const seconds = (seconds: number) => `${seconds} s`;
export const minutes = (minutes: number) => `${minutes} min`;
export const percent = (percent: number) => `${percent}%`;
export const hours = (hours: number, minutes: number) => `${hours} h ${minutes} min`;

/** The page for people who are not signed in. */
export const welcomeDocumentTitle = `${product}: talk with a voice agent`;
export const welcomeTitle = "Talk. Every word is saved.";
export const welcomeAbout =
  "Talk with a voice agent in your browser. Your words appear as you speak, the agent answers, " +
  "and you can find every conversation again.";
export const welcomeGuests =
  "No e-mail needed. You can create an account later and keep your conversations.";

/** The form for signing in and signing up. */
export const accountEmail = "E-mail";
export const accountPassword = "Password";
export const accountPasswordHint = "At least 8 characters.";

/** The links to the playground. */
export const developersTitle = "For developers";
export const developersAbout = "For developers: everything here runs on a GraphQL API.";
export const developersTryIt = "Try the whole API with your own login.";
export const developersOpenPlayground = "Open the playground";

/** Settings. */
export const settingsTitle = "Settings";
export const accountTitle = "Account";
export const accountForGuests =
  "You're here as a guest. Create an account to keep your conversations when you leave this browser.";
export const accountSignedInAs = (email: string) => `Signed in as ${email}.`;
export const accountHas = (count: number) =>
  counted(count, {
    one: "conversation is now in your account.",
    other: "conversations are now in your account.",
  });
export const accountSignOut = "Sign out";
export const accountStillSignedIn = (problem: string) => `You're still signed in. ${problem}`;
export const accountGuestSignOutTitle = "Sign out and lose your conversations?";
export const accountGuestSignOutAbout =
  "You're here as a guest. After you sign out, your conversations can't be opened again. Create an account to keep them.";
export const accountGuestSignOut = "Sign out anyway";
export const themeTitle = "Theme";
export const themeSystem = "System";
export const themeLight = "Light";
export const themeDark = "Dark";
export const microphoneTitle = "Microphone";
export const microphoneNamesLater =
  "The names appear once you allow a page to use your microphone.";
export const microphoneSystemDefault = "System default";
export const microphoneUnnamed = "Microphone";
export const tokensTitle = "API tokens";
export const tokensAbout = "Programs use a token to act on your behalf.";
export const tokensCreated = (moment: string) => `created ${moment}`;
export const tokensLastUsed = (moment: string) => `last used ${moment}`;
export const tokensNeverUsed = "never used";
export const tokensRevoke = "Revoke";
export const tokensRevoking = (name: string) => `Revoke “${name}”?`;
export const tokensAboutRevoking =
  "Programs that use this token lose access at once. You can't undo this.";
export const tokensRevokeToken = "Revoke token";
export const tokensName = "Token name";
export const tokensNameExample = "My program";
export const tokensPermissions = "Permissions";
export const tokensRead = "Read conversations";
export const tokensWrite = "Start and change conversations";
export const tokensDelete = "Delete conversations";
export const tokensCreate = "Create token";
export const tokensNewTitle = "Your new token";
export const tokensCopyNow = "Copy it now. You won't see it again.";

/** The frame of every page. */
export const shellSkip = "Skip to main content";
export const shellOpenHistory = "Open history";
export const shellCloseHistory = "Close history";
export const shellNotification = "Notification";
export const shellOffline =
  "You're offline. What you see stays, and the rest continues when you're back online.";

/** The list of shortcuts. */
export const shortcutsTitle = "Keyboard shortcuts";
export const shortcutsNewChat = "Save this conversation and start the next";
export const shortcutsSearch = "Search conversations";
export const shortcutsMute = "Mute or unmute the microphone";
export const shortcutsUndo = "Undo deleting a conversation";
export const shortcutsNextMatch = "Show the next match";
export const shortcutsPreviousMatch = "Show the previous match";
export const shortcutsSend = "Send what you typed";
export const shortcutsClose = "Close what's open";
export const shortcutsHelp = "Show this list";

/** The list of conversations and its actions. */
export const historyTitle = "History";
export const historyGuest = "Guest";
export const historySearch = "Search conversations";
export const historyNoResults = (search: string) => `No results for “${search}”.`;
export const historyEmpty = "Your conversations will appear here.";
export const historyNow = "Now";
export const historyOptions = (name: string) => `Options for ${name}`;
export const historyRename = "Rename";
export const historyDelete = "Delete";
export const historyNewTitle = "Title";
export const historyTitleTooLong = (length: number, most: number) =>
  `A title has at most ${most} characters. This has ${length}.`;
export const historyNotRenamed = (problem: string) => `Couldn't rename this. ${problem}`;
export const historyNotDeleted = (problem: string) => `Couldn't delete this. ${problem}`;
export const historyDeleted = "Conversation deleted";
export const historyDeletedNamed = (name: string) => `${quoted(name)} deleted`;
export const historySaved = "Conversation saved";
export const historyDeleting = "Delete this conversation?";
export const historyAboutDeleting = (name: string, count: number) =>
  `${quoted(name)} (${lines(count)}) is still active. It will end and be deleted for everyone. ` +
  "You can't undo this.";
export const historyDeleteConversation = "Delete conversation";

/** The start page. */
export const startTitle = "New conversation";
export const startTalk = "Start talking";
export const startTypingWorks = "You can also type. Every word is saved.";
export const startGuests =
  "You're here as a guest. Create an account in Settings to keep your conversations.";
export const startDemo = "The built-in demo answers. To connect a language model:";
/** Ollama's address, as an example. */
export const startModel = "VOXQL_LLM_BASE_URL=http://localhost:11434/v1";

/** A conversation, live or past. */
export const conversationTitle = "Conversation";
export const conversationOptions = "Conversation options";
export const conversationYours = "Your conversation";
export const conversationStartedAt = (clock: string) => `Started ${clock}`;
export const conversationNothingSaid = "Nothing was said.";
export const conversationEnd = "End of the conversation";
export const conversationStillActive = "This conversation is still active.";
export const conversationTalkHere = "Talk here";
export const conversationJoinAgain = "Continue this conversation";
export const conversationElsewhere = "This conversation is active in another window.";
export const conversationGoBack = "Return";

/** Copying a conversation. */
export const copyTranscript = "Copy transcript";
export const copiedTranscript = "Transcript copied";
export const notCopiedTranscript = "Couldn't copy the transcript.";
export const copyId = "Copy id";
export const copiedId = "Id copied";
export const notCopiedId = (id: string) => `Couldn't copy the id. It's ${id}.`;

/** The search in a conversation. It counts lines, not words. */
export const findInConversation = "Search this conversation";
export const findPrevious = "Previous match";
export const findNext = "Next match";
export const findClose = "Close search";
export const findCount = (at: number, total: number) => {
  if (total === 0) return "No matching lines";
  return at > 0 ? `Line ${at} of ${total}` : counted(total, MATCHING_LINES);
};

/** The lines of a conversation. */
export const transcriptAnnouncements = "Announcements";
export const transcriptJumpToLatest = "Jump to latest";
export const transcriptYou = "You";
export const transcriptAgent = "Agent";
/** Precedes a line, for screen readers and in copies. */
export const transcriptSaidBy = (who: string) => `${who}: `;
export const transcriptInterrupted = "interrupted";
export const transcriptStillSpeaking = "still speaking";
export const transcriptUnfinished = "unfinished";
export const transcriptSending = "Sending…";
export const transcriptSendAgain = "Send again";
export const transcriptNotSent = "Not sent.";
export const transcriptSendsOnline = "Sends when you're back online.";
export const transcriptSendsConnected = "Sends when you're connected again.";
export const transcriptSendsToAgent = "Sends when the agent is here.";
export const transcriptSendsWithSound = "Sends when audio is connected.";
export const transcriptEdit = "Edit";
export const transcriptTakeBack = "Remove";

/** The controls of a conversation. */
export const dockNewChat = "New chat";
export const dockEnd = "End";
export const dockMute = "Mute";
export const dockRetryMicrophone = "Try the microphone again";
export const dockChooseMicrophone = "Choose microphone";
export const dockAgentVoice = "Agent's voice";
export const dockVolume = "Volume of the agent's voice";
export const dockType = "Type instead of speaking";
export const dockSend = "Send";
export const dockTooLong =
  "This is too long to send at once (over 32 kB). Send it in parts. Nothing is lost.";

/** The status line. */
export const statusNotStarted = "Not started";
export const statusFollowing = "Following along";
export const statusReconnecting = "Reconnecting…";
export const statusOffline = "Offline, reconnecting…";
export const statusAllowMicrophone = "Allow the microphone…";
export const statusMicrophoneOff = "Microphone off";
export const statusAgentUnavailable = "Agent unavailable";
export const statusLoading = "Loading conversation…";
export const statusNoSound = "No sound";
export const statusConnecting = "Connecting audio…";
export const statusWaiting = "Waiting for the agent…";
export const statusGettingReady = "Getting ready…";
export const statusListening = "Listening";
export const statusMuted = "Muted";
export const statusThinking = "Thinking";
export const statusSpeaking = "Speaking";
export const statusDeleted = "Deleted";
export const statusAgentLeft = "The agent left";
export const statusAbandoned = "Ended automatically";
export const statusStartFailed = "Ended: no agent joined";
export const statusSaved = "Saved";

/** The text field's placeholder. */
export const inviteOneMoment = "Just a moment…";
export const inviteOver = "This conversation has ended";
export const inviteElsewhere = "Active in another window";
export const inviteMeanwhile = "Type here meanwhile";
export const inviteSpeakOrType = "Speak or type here";
export const inviteType = "Type here";

interface Told {
  what: string;
  /** What the person can do about it. */
  way: string;
}

/** What an empty transcript shows. */
export const nothingYet = {
  over: { what: "Nothing was said", way: "Start a new chat to talk again." },
  elsewhere: { what: "Nothing said yet", way: "The conversation appears here, too." },
  noAgent: { what: noAgentYet, way: "You can speak as soon as an agent joins." },
  offline: { what: "You're offline", way: "You can type now. It sends when you're back online." },
  allow: { what: "Allow your microphone", way: "Your browser is asking. You can also type." },
  speak: { what: "Say something", way: wordsAppear },
  type: { what: "Type something", way: "The agent reads it and answers." },
  almost: { what: "Almost there", way: "You can type now, and speak as soon as the agent joins." },
} satisfies Record<string, Told>;

/** Says on other pages that the conversation has not ended. */
export const stillTalkingAloud = "You're still talking with the agent.";
export const stillTalkingMuted = "You're muted. Your conversation is still active.";
export const stillTalkingSilent = "Your conversation is still active.";

/** Failures of requests without sentences of their own. */
export const problems = {
  network: "Can't reach the server.",
  timeout: "The server took too long to answer.",
  "signed-out": "You're signed out.",
  forbidden: "This conversation belongs to someone else.",
  "not-found": "This conversation doesn't exist. It may have been deleted.",
  invalid: "The server couldn't accept this.",
  conflict: "This isn't possible right now.",
  busy: "The server is busy. Try again in a moment.",
  server: "Something went wrong on the server.",
} satisfies Record<FailureKind, string>;

/** Why no conversation could be started. */
export const notStarted = {
  network: "Can't reach the server.",
  timeout: "The server took too long to answer.",
  "signed-out": "You're signed out. Sign in again to start.",
  forbidden: "You can't start a conversation here.",
  "not-found": "The server couldn't find what you asked for.",
  invalid: "The server couldn't accept this.",
  conflict: "Another conversation is already starting.",
  busy: "You can't start a conversation right now.",
  server: "Something went wrong on the server.",
} satisfies Record<FailureKind, string>;

/** Why a conversation could not be saved. */
export const notSaved = {
  network: "Can't reach the server, so this conversation isn't saved yet.",
  timeout: "The server took too long to answer, so this conversation may not be saved yet.",
  "signed-out": "You're signed out. Sign in again to save this conversation.",
  forbidden: "This conversation belongs to someone else, so you can't save it.",
  "not-found": "This conversation no longer exists on the server.",
  invalid: "The server couldn't accept this conversation.",
  conflict: "This conversation is already being changed. Try again in a moment.",
  busy: "This conversation can't be saved right now.",
  server: "Something went wrong on the server, so this conversation isn't saved yet.",
} satisfies Record<FailureKind, string>;

/** Why a conversation can be started or saved again. */
export const signedInAgain = {
  start: "You were signed out. You're back now, so you can start a conversation.",
  save: "You were signed out, so this conversation isn't saved yet. You can save it now.",
};
export const connectedAgain = {
  start: "You're connected again, so you can start a conversation.",
  save: "You're connected again. This conversation isn't saved yet, and you can save it now.",
};

export const nothingLost = "Nothing is lost. Everything stays here until it's saved.";

/** Why there is no agent. */
export const agentFailed = "The agent couldn't join.";
export const agentTimeout = "It took too long. Try again in a moment.";
export const agentUnavailable = "No agent is available. Try again in a moment.";
export const agentUnknown = "Try again in a moment.";
export const agentGone = "The agent was disconnected.";
export const agentComingBack = `It's being called back. ${isSaved}`;

/** Why there is no sound. */
export const soundRefused = "Couldn't connect audio.";
export const soundReconnect = "Reconnect audio";
export const soundSilenced = "Click to turn on sound.";
export const soundTurnOn = "Turn on sound";
export const soundClickAnywhere = "Click anywhere to turn on sound.";

/** Why the person can't be heard. */
export const microphone = {
  denied: {
    what: "Your microphone is blocked for this page.",
    way: "Allow it next to the address in your browser, then try again. Typing works without it.",
  },
  missing: {
    what: "No microphone found.",
    way: "Connect a microphone and try again. Typing works without it.",
  },
  unplugged: {
    what: "Your microphone was unplugged.",
    way: "Plug it in or choose another in Settings, then try again. Typing works meanwhile.",
  },
  insecure: {
    what: "This page isn't secure, so your browser blocks microphone and sound.",
    way: "Open it with https or as localhost. Typing works here, too.",
  },
  failed: {
    what: "Couldn't open your microphone.",
    way: "Another program may be using it. Close that and try again. Typing works meanwhile.",
  },
} satisfies Record<MicrophoneProblem, Told>;

/** Pages that can't be shown. */
export const noAnswer = "Can't reach VoxQL";
export const notFoundTitle = "Page not found";
export const notFoundWhat = "This page doesn't exist";
export const notFoundWay = "The address may be mistyped, or the page is gone.";
export const pieceMissingWhat = "Couldn't load this page";
export const pieceMissingWay =
  "It keeps trying. If that doesn't help, reload: the server may have a newer version.";
export const pastMissingTitle = "Not loaded";
export const pastMissingWhat = "Couldn't load this conversation";
export const pastForbidden = "No access";
export const pastNotFound = "Not found";
export const pastSignedOut = "Signed out";
export const pastLoadingMore = "Loading more…";
export const pastBadLink = "This link isn't valid.";
export const brokenWhat = "Something went wrong on this page";
export const brokenWay =
  "Your microphone is off. Finished lines are saved on the server. Reload to continue.";
