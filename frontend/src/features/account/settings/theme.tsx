import { useState } from "react";
import { showTheme } from "../../../app/theme.ts";
import { recall, remember } from "../../../shared/store/storage.ts";
import * as texts from "../../../texts.ts";

const CHOICES = [
  ["system", texts.themeSystem],
  ["light", texts.themeLight],
  ["dark", texts.themeDark],
] as const;

export function Theme() {
  const [theme, setTheme] = useState<string>(() => recall("theme") ?? "system");
  const choose = (choice: string) => {
    setTheme(choice);
    showTheme(choice);
    remember("theme", choice === "system" ? null : choice);
  };
  return (
    <section>
      <h2>{texts.themeTitle}</h2>
      <fieldset className="choices">
        <legend className="unseen">{texts.themeTitle}</legend>
        {CHOICES.map(([choice, label]) => (
          <label key={choice}>
            <input
              type="radio"
              name="theme"
              value={choice}
              checked={theme === choice}
              onChange={() => choose(choice)}
            />
            {label}
          </label>
        ))}
      </fieldset>
    </section>
  );
}
