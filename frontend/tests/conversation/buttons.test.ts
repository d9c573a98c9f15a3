/** The New Chat and End buttons before, during and after a save. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";

import type { Conversation } from "../../src/features/conversation/state.ts";
import { End, NewChat } from "../../src/features/conversation/view/new-chat.tsx";
import { Scene } from "../scene.ts";

const page = vi.hoisted(() => ({ state: null as Conversation | null }));

// The real hooks work only in the running app.
vi.mock("../../src/app/context.ts", () => ({
  useApp: () => ({ driver: { dispatch() {} } }),
  useConversationPart: (part: (state: Conversation | null) => unknown) => part(page.state),
}));

function drawn(button: typeof NewChat | typeof End, scene: Scene): string {
  page.state = scene.state;
  return renderToStaticMarkup(createElement(button));
}

describe("New Chat and End", () => {
  it("can be clicked while a conversation goes on", () => {
    const scene = new Scene().talking();

    expect(drawn(NewChat, scene)).toContain('aria-disabled="false"');
    expect(drawn(NewChat, scene)).toContain("New chat");
    expect(drawn(End, scene)).toContain('aria-disabled="false"');
  });

  it("can't be clicked while it is saved, and say so", () => {
    const scene = new Scene().talking();
    scene.send({ type: "newChat", key: "key-2" });

    expect(drawn(NewChat, scene)).toContain('aria-disabled="true" aria-busy="true"');
    expect(drawn(NewChat, scene)).toContain("Saving…");
    expect(drawn(End, scene)).toContain('aria-disabled="true"');
  });

  it("can be clicked again when it could not be saved", () => {
    const scene = new Scene().talking();
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: { kind: "server", message: "" } });

    expect(drawn(NewChat, scene)).toContain('aria-disabled="false"');
  });
});
