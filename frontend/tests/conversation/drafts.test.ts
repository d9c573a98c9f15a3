/** Unsent drafts: never lost, never shown to another person. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Drafts } from "../../src/features/conversation/drafts.ts";
import { FakeStorage } from "../equipment.ts";

let storage: FakeStorage;
beforeEach(() => {
  storage = new FakeStorage();
  vi.stubGlobal("sessionStorage", storage);
});
afterEach(() => vi.unstubAllGlobals());

function written(): Drafts {
  const drafts = new Drafts();
  drafts.belongTo("usr_1");
  drafts.keep("ses_1", "half a li");
  return drafts;
}

describe("a draft", () => {
  it("is there again after a reload, in its own conversation", () => {
    written();

    const drafts = new Drafts();
    drafts.belongTo("usr_1");

    expect(drafts.of("ses_1")).toBe("half a li");
    expect(drafts.of("ses_2")).toBe("");
  });

  it("is carried over to the next conversation, and only there", () => {
    const drafts = written();

    drafts.carryTo("ses_2");

    expect(drafts.of("ses_2")).toBe("half a li");
    expect(drafts.of("ses_1")).toBe("");
    drafts.carryTo("ses_3");
    expect(drafts.of("ses_3")).toBe("half a li");
  });

  it("is the one typed last that is carried over", () => {
    const drafts = written();
    drafts.keep("ses_2", "another");
    drafts.keep("ses_1", "half a line");

    drafts.carryTo("ses_3");

    expect(drafts.of("ses_3")).toBe("half a line");
  });

  it("is gone on with behind a line that is put back, which the field is told of", () => {
    const drafts = written();
    let told = 0;
    drafts.putBacks.watch(() => told++);

    drafts.putBack("ses_1", "a line");
    drafts.putBack("ses_2", "another");

    expect(drafts.of("ses_1")).toBe("a line\nhalf a li");
    expect(drafts.of("ses_2")).toBe("another");
    expect(told).toBe(2);
  });

  it("leaves no trace once it is sent", () => {
    const drafts = written();

    drafts.keep("ses_1", "");
    drafts.carryTo("ses_2");

    expect(drafts.of("ses_2")).toBe("");
    expect(storage.items.size).toBe(0);
  });

  it("is not kept for anybody else, also after a reload", () => {
    written();

    const drafts = new Drafts();
    drafts.belongTo("usr_2");

    expect(drafts.of("ses_1")).toBe("");
    expect(storage.items.size).toBe(0);
  });

  it("moves along with a guest who becomes an account", () => {
    const drafts = written();

    drafts.belongTo("usr_2", true);
    drafts.belongTo("usr_2");

    expect(drafts.of("ses_1")).toBe("half a li");
  });

  it("is kept only in the page while nobody is signed in", () => {
    const drafts = written();

    drafts.hide();
    expect(storage.items.size).toBe(0);
    drafts.belongTo("usr_1");

    expect(drafts.of("ses_1")).toBe("half a li");
    expect(storage.items.size).toBe(1);
  });

  it("is kept by the page where the browser keeps nothing", () => {
    const forbidden = () => {
      throw new DOMException("", "SecurityError");
    };
    vi.stubGlobal("sessionStorage", {
      getItem: forbidden,
      setItem: forbidden,
      removeItem: forbidden,
    });

    const drafts = written();
    drafts.carryTo("ses_2");

    expect(drafts.of("ses_2")).toBe("half a li");
  });

  it.each(["nonsense", "[]", '{"owner": "usr_1"}', "null"])(
    "of another form is none: %s",
    (kept) => {
      storage.items.set("voxql.drafts", kept);

      const drafts = new Drafts();
      drafts.belongTo("usr_1");

      expect(drafts.of("ses_1")).toBe("");
    },
  );
});
