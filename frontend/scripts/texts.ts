/** Puts the texts that `index.html` holds before the page is there in their places, `%name%`. */
import type { Plugin } from "vite";

import { html as held } from "../src/texts.ts";

const isHeld = (name: string): name is keyof typeof held => Object.hasOwn(held, name);

export function texts(): Plugin {
  return {
    name: "texts",
    transformIndexHtml: (html) =>
      html.replace(/%(\w+)%/g, (place, name: string) => {
        if (!isHeld(name)) throw new Error(`index.html asks for ${place}, which is no text`);
        return held[name].replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
      }),
  };
}
