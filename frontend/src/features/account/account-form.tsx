/** The e-mail and password form for signing in and signing up. */
import { type FormEvent, useId, useRef, useState } from "react";
import { useApp } from "../../app/context.ts";
import { failureOf } from "../../shared/api/client.ts";
import { useFocusHandedOn } from "../../shared/ui/focus.ts";
import * as texts from "../../texts.ts";
import { problem } from "../conversation/messages.ts";

interface Props {
  kind: "sign-in" | "sign-up";
  /** Whether a guest is signed in, whose conversations can move to the account. */
  isGuest?: boolean;
  onDone?(): void;
}

export function AccountForm({ kind, isGuest = false, onDone }: Props) {
  const app = useApp();
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState("");
  const email = useId();
  const password = useId();
  const hint = useId();
  const ref = useRef<HTMLFormElement>(null);
  useFocusHandedOn(ref);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (isBusy) return;
    const form = new FormData(event.currentTarget);
    const given = [String(form.get("email")), String(form.get("password"))] as const;
    setBusy(true);
    setComplaint("");
    try {
      if (kind === "sign-in") await app.signIn(...given, isGuest);
      else await app.signUp(...given);
      onDone?.();
    } catch (error) {
      const failure = failureOf(error);
      const isWorded = failure.kind !== "network" && failure.message !== "";
      setComplaint(isWorded ? failure.message : problem(failure));
    }
    setBusy(false);
  };

  return (
    <form className="account" ref={ref} onSubmit={submit}>
      <label htmlFor={email}>{texts.accountEmail}</label>
      <input id={email} name="email" type="email" autoComplete="email" required maxLength={254} />
      <label htmlFor={password}>{texts.accountPassword}</label>
      <input
        id={password}
        name="password"
        type="password"
        autoComplete={kind === "sign-in" ? "current-password" : "new-password"}
        required
        minLength={kind === "sign-up" ? 8 : 1}
        maxLength={256}
        aria-describedby={kind === "sign-up" ? hint : undefined}
      />
      {kind === "sign-up" && (
        <p className="muted small" id={hint}>
          {texts.accountPasswordHint}
        </p>
      )}
      {complaint && (
        <p className="complaint" role="alert">
          {complaint}
        </p>
      )}
      <button type="submit" className="button primary large" aria-disabled={isBusy}>
        {kind === "sign-in" ? texts.signIn : texts.createAccount}
      </button>
    </form>
  );
}
