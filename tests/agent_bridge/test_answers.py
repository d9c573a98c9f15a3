"""When a typed line counts as answered."""

from agent_bridge.client.answers import Answers
from tests.attach.fakes import FakeSpeech


def test_a_line_is_answered_when_its_answer_is_over() -> None:
    """Lines are independent and may end in any order."""
    acknowledged: list[str] = []
    answers = Answers(acknowledged.append)
    first, second = FakeSpeech(), FakeSpeech()
    answers.expect("line-1", first)
    answers.expect("line-2", second)
    second.end()
    first.end()
    assert acknowledged == ["line-2", "line-1"]


def test_what_was_cut_off_is_answered_when_the_agent_goes_on() -> None:
    """Listening does not acknowledge it; thinking, speaking or another line does."""
    acknowledged: list[str] = []
    answers = Answers(acknowledged.append)
    for number, state in enumerate(["thinking", "speaking"]):
        speech = FakeSpeech()
        answers.expect(f"line-{number}", speech)
        answers.on_state("speaking")
        speech.end(interrupted=True)
        answers.on_state("listening")
        assert len(acknowledged) == number
        answers.on_state(state)
        assert len(acknowledged) == number + 1
    speech = FakeSpeech()
    answers.expect("over", speech)
    speech.end(interrupted=True)
    assert "over" not in acknowledged
    answers.expect("next", FakeSpeech())
    assert acknowledged == ["line-0", "line-1", "over"]


def test_a_reply_that_was_cleared_was_not_given() -> None:
    """livekit-agents reports it as complete: its sound is over, and nobody interrupted it."""
    acknowledged: list[str] = []
    cuts = 1
    answers = Answers(acknowledged.append, lambda: cuts)
    whole, cut = FakeSpeech(), FakeSpeech()
    answers.expect("whole", whole)
    whole.end()
    answers.expect("cut", cut)
    cuts += 1
    cut.end()
    assert acknowledged == ["whole"]
