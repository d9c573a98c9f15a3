import { useState } from "react";

import { recall, remember } from "../../app/storage.ts";
import { showTheme } from "../../app/theme.ts";

const CHOICES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
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
      <h2>Theme</h2>
      <fieldset className="choices">
        <legend className="unseen">Theme</legend>
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
