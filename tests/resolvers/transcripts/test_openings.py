"""A conversation that nobody has named takes its title from the user's first words."""

from resolvers.sessions import manage, starting
from tests.resolvers.stage import Stage, message


async def test_the_first_settled_words_of_the_person_are_the_title(stage: Stage) -> None:
    """The agent's greeting, an interim and a mere noise give no title."""
    session, agent = await stage.talk()
    await agent.say("Good morning, how can I help?", "SG_0", role="AGENT")
    await agent.say("...", "SG_1")
    await agent.say("what ti", "SG_2", final=False)
    assert (await stage.read(session)).shown_title == "New Conversation"

    await agent.say("what time is it in Vienna?", "SG_2")
    await agent.say("Half past five.", "SG_3", role="AGENT")
    await agent.say("thank you", "SG_4")

    assert (await stage.read(session)).shown_title == "What time is it in Vienna?"


async def test_a_typed_line_gives_the_title(stage: Stage) -> None:
    """The title is there at once, before any answer."""
    session, _ = await stage.talk()
    await stage.type(session, "is it raining?\nand will it tomorrow?", "key")
    title = (await stage.read(session)).shown_title
    assert title == "Is it raining? and will it tomorrow?"


async def test_who_watches_is_told_the_title_when_there_is_one(stage: Stage) -> None:
    """A line becoming final changes neither count nor preview, but the title raises the version."""
    session, agent = await stage.talk()
    await agent.say("what time is it?", final=False)
    watcher = await stage.watch_sessions(session)
    before = (await watcher.next()).session

    await agent.say("what time is it?")

    told = (await watcher.next()).session
    assert (before.shown_title, told.shown_title) == ("New Conversation", "What time is it?")
    assert told.version == before.version + 1


async def test_what_is_known_later_and_was_said_earlier_gives_the_title(stage: Stage) -> None:
    """Saved messages and late utterances that belong earlier replace the title."""
    session, agent = await stage.talk()
    await agent.say("second", "SG_2", began=2.0)
    assert (await stage.read(session)).shown_title == "Second"
    await agent.say("first", "SG_1", began=1.0)
    assert (await stage.read(session)).shown_title == "First"

    saved = [message("zeroth"), message("SG_1", "first")]
    await stage.backend.saving.save_session(stage.viewer, session.id, saved)

    assert (await stage.read(session)).shown_title == "Zeroth"


async def test_words_that_are_corrected_are_so_in_the_title(stage: Stage) -> None:
    """If the correction leaves no word, the next words give the title; the old ones are gone."""
    session, agent = await stage.talk()
    await agent.say("my number is 1234", "SG_1")
    await agent.say("is it raining?", "SG_2")
    await agent.say("my number is", "SG_1")
    assert (await stage.read(session)).shown_title == "My number is"

    await agent.say("…", "SG_1")

    row = await stage.read(session)
    assert (row.shown_title, row.opening) == ("Is it raining?", "Is it raining?")


async def test_a_name_stays_whatever_is_said(stage: Stage) -> None:
    """A given title stays; only renaming to the default title removes it."""
    session = await stage.start(title="Tea")
    agent = stage.talker(session)
    await agent.come()
    await agent.say("is it raining?", final=False)
    before = await stage.read(session)
    await agent.say("is it raining?")
    after = await stage.read(session)
    assert (after.shown_title, after.version) == ("Tea", before.version), "nothing to see"

    named = await manage.rename_session(
        stage.backend.transactions, stage.viewer, session.id, "Rain"
    )
    assert named.shown_title == "Rain"

    again = "New Conversation"
    named = await manage.rename_session(stage.backend.transactions, stage.viewer, session.id, again)
    assert named.shown_title == "Is it raining?"


async def test_a_conversation_without_words_has_no_title_of_its_own(stage: Stage) -> None:
    """Words of the agent alone give no title either."""
    session, agent = await stage.talk()
    await agent.say("Good morning!", role="AGENT")
    saved = await stage.backend.saving.save_session(stage.viewer, session.id, [])
    assert saved.session.shown_title == "New Conversation"


async def test_what_was_typed_offline_gives_the_title_when_it_is_saved(stage: Stage) -> None:
    """Of several saved messages the first gives the title, also when the next chat saves them."""
    session, _ = await stage.talk()
    lines = [message("one", "first line"), message("two", "second line")]
    previous = starting.Previous(session.id, lines)
    await stage.backend.chats.start_new_chat(stage.viewer, previous=previous)
    assert (await stage.read(session)).shown_title == "First line"
