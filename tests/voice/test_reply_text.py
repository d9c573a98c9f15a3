"""Whether a reply was spoken or only written is known when it is over."""

from livekit.agents.voice import io

from agent.speaking.output import ReplyText
from agent.speaking.writing import Said


async def reply(text: ReplyText, words: str) -> None:
    for word in words.split():
        await text.capture_text(word + " ")
    text.flush()


async def test_a_reply_without_sound_is_told_once_it_is_over() -> None:
    """Once, and the next one too."""
    told: list[Said] = []
    text = ReplyText(told.append)

    await reply(text, "Nobody is there.")
    assert told == []
    text.settle()
    text.settle()
    await reply(text, "Still nobody.")
    text.settle()

    assert [(said.text, said.final, said.written) for said in told] == [
        ("Nobody is there.", True, True),
        ("Still nobody.", True, True),
    ]


async def test_a_reply_that_was_played_is_not_told_as_written() -> None:
    """Whoever played it has taken its words; what comes of it afterwards is told to nobody."""
    told: list[Said] = []
    text = ReplyText(told.append)

    await text.capture_text(io.TimedString("Hello", start_time=0.0, end_time=0.5))
    assert text.take(24_000).text == "Hello"
    await text.capture_text(io.TimedString("nobody", start_time=0.5, end_time=0.9))
    text.flush()
    text.settle()
    await reply(text, "The next.")
    text.settle()

    assert [said.text for said in told] == ["The next."]
