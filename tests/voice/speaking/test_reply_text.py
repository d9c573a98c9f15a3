"""Only at the end of a reply is it known whether it was spoken or only written."""

from livekit.agents.voice import io

from agent.speaking.output import ReplyText
from agent.speaking.writing import Said


async def reply(text: ReplyText, words: str) -> None:
    for word in words.split():
        await text.capture_text(word + " ")
    text.flush()


async def test_a_reply_without_sound_is_told_once_it_is_over() -> None:
    """Each reply is reported once."""
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
    """The player took its words; later words of the reply are not reported."""
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
