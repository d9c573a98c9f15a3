/** API tokens: create, show once, revoke. */
import { type FormEvent, useCallback, useEffect, useId, useRef, useState } from "react";
import { useApp } from "../../../app/context.ts";
import { shortcut } from "../../../app/system.ts";
import { failureOf } from "../../../shared/api/client.ts";
import {
  CreateApiTokenDocument,
  RevokeApiTokenDocument,
  type TokenScope,
} from "../../../shared/api/generated/graphql.ts";
import { copied, select } from "../../../shared/ui/copy.ts";
import { Dialog } from "../../../shared/ui/dialog.tsx";
import { moment } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import { allTokens, type Token } from "./all-tokens.ts";

const SCOPES: readonly (readonly [TokenScope, string])[] = [
  ["SESSIONS_READ", texts.tokensRead],
  ["SESSIONS_WRITE", texts.tokensWrite],
  ["SESSIONS_DELETE", texts.tokensDelete],
];

export function Tokens() {
  const { api } = useApp();
  const [tokens, setTokens] = useState<readonly Token[] | null>(null);
  const [complaint, setComplaint] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);

  const load = useCallback(async () => {
    try {
      setTokens(await allTokens(api));
      setComplaint("");
    } catch (error) {
      setComplaint(problem(failureOf(error)));
    }
  }, [api]);
  useEffect(() => void load(), [load]);

  const create = async (name: string, scopes: TokenScope[]) => {
    const answer = await api.mutate(CreateApiTokenDocument, { input: { name, scopes } });
    setSecret(answer.createApiToken?.secret ?? null);
    await load();
  };
  const revoke = async (token: Token) => {
    setRevoking(null);
    try {
      await api.mutate(RevokeApiTokenDocument, { id: token.id });
      await load();
    } catch (error) {
      setComplaint(problem(failureOf(error)));
    }
  };

  return (
    <section>
      <h2>{texts.tokensTitle}</h2>
      <p className="muted">{texts.tokensAbout}</p>
      {complaint && (
        <p className="complaint" role="alert">
          {complaint}{" "}
          <button type="button" className="link" onClick={() => void load()}>
            {texts.tryAgain}
          </button>
        </p>
      )}
      {tokens !== null && tokens.length > 0 && (
        <ul className="tokens">
          {tokens.map((token) => (
            <li key={token.id}>
              <div>
                <p className="token-name">{token.name}</p>
                <p className="muted small">
                  <code>{token.prefix}…</code> · {texts.tokensCreated(moment(token.createdAt))} ·{" "}
                  {token.lastUsedAt
                    ? texts.tokensLastUsed(moment(token.lastUsedAt))
                    : texts.tokensNeverUsed}
                </p>
              </div>
              <button type="button" className="button quiet" onClick={() => setRevoking(token)}>
                {texts.tokensRevoke}
                <span className="unseen"> {token.name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <NewToken onCreate={create} />
      {secret !== null && <Secret secret={secret} onClose={() => setSecret(null)} />}
      {revoking !== null && (
        <Dialog title={texts.tokensRevoking(revoking.name)} onClose={() => setRevoking(null)}>
          <p>{texts.tokensAboutRevoking}</p>
          <div className="dialog-ways">
            <button type="button" className="button" data-safe="" onClick={() => setRevoking(null)}>
              {texts.cancel}
            </button>
            <button type="button" className="button danger" onClick={() => void revoke(revoking)}>
              {texts.tokensRevokeToken}
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

function NewToken({ onCreate }: { onCreate(name: string, scopes: TokenScope[]): Promise<void> }) {
  const name = useId();
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState("");
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (isBusy) return;
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    setComplaint("");
    try {
      await onCreate(String(data.get("name")), data.getAll("scope") as TokenScope[]);
      form.reset();
    } catch (error) {
      const failure = failureOf(error);
      setComplaint(failure.message || problem(failureOf(error)));
    }
    setBusy(false);
  };
  return (
    <form className="new-token" onSubmit={submit}>
      <label htmlFor={name}>{texts.tokensName}</label>
      <input id={name} name="name" required maxLength={100} placeholder={texts.tokensNameExample} />
      <fieldset className="choices">
        <legend className="muted">{texts.tokensPermissions}</legend>
        {SCOPES.map(([scope, label]) => (
          <label key={scope}>
            <input
              type="checkbox"
              name="scope"
              value={scope}
              defaultChecked={scope !== "SESSIONS_DELETE"}
            />
            {label}
          </label>
        ))}
      </fieldset>
      {complaint && (
        <p className="complaint" role="alert">
          {complaint}
        </p>
      )}
      <button type="submit" className="button" aria-disabled={isBusy}>
        {texts.tokensCreate}
      </button>
    </form>
  );
}

function Secret({ secret, onClose }: { secret: string; onClose(): void }) {
  const [is, setIs] = useState<"new" | "copied" | "refused">("new");
  const words = useRef<HTMLOutputElement>(null);
  const copy = async () => {
    const isCopied = await copied(secret);
    setIs(isCopied ? "copied" : "refused");
    if (!isCopied) select(words.current);
  };
  return (
    <Dialog title={texts.tokensNewTitle} onClose={onClose}>
      <p>{texts.tokensCopyNow}</p>
      <output className="secret" ref={words}>
        {secret}
      </output>
      {is === "refused" && (
        <p className="complaint" role="alert">
          {texts.notCopied(shortcut("Ctrl+C"))}
        </p>
      )}
      <div className="dialog-ways">
        <button type="button" className="button" onClick={() => void copy()}>
          {is === "copied" ? texts.copied : texts.copy}
        </button>
        <button type="button" className="button primary" onClick={onClose}>
          {texts.done}
        </button>
      </div>
    </Dialog>
  );
}
