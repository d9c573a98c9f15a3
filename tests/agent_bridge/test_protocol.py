"""The protocol without I/O: valid frames, their contents, and when they may pass."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_bridge.protocol import (
    BRIDGE_DIALECT,
    WORKER_DIALECT,
    Ack,
    AgentState,
    Bye,
    CloseCode,
    Dialect,
    Exchange,
    Frame,
    FrameError,
    Hello,
    Input,
    InputAck,
    Nack,
    NackCode,
    Phase,
    Places,
    Ready,
    Refused,
    Side,
    Start,
    Started,
    Stop,
    Unacceptable,
    Utterance,
    Welcome,
    WorkerHello,
    WorkerWelcome,
    decode,
    encode,
)
from tests.agent_bridge.bad_frames import BAD_CONTENTS, BAD_FROM_AGENT, MALFORMED, as_json
from tests.agent_bridge.wire import words

FROM_AGENT = BRIDGE_DIALECT.from_agent


def utterance(**members: Any) -> str:
    return as_json({"type": "utterance", **words(**members)})


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_not_a_frame_is_refused_with_bad_frame(data: str | bytes) -> None:
    """Both sides accept only JSON objects with a type, and no input crashes them."""
    for readers in (FROM_AGENT, BRIDGE_DIALECT.from_server, WORKER_DIALECT.from_agent):
        with pytest.raises(FrameError) as caught:
            decode(readers, data)
        assert caught.value.close_code is CloseCode.BAD_FRAME


@pytest.mark.parametrize("frame", BAD_FROM_AGENT)
def test_a_member_of_the_wrong_type_is_refused_and_not_repeated(frame: dict[str, Any]) -> None:
    """The message says what was expected and quotes nothing of the input."""
    with pytest.raises(FrameError) as caught:
        decode(FROM_AGENT, as_json(frame))
    assert caught.value.close_code is CloseCode.BAD_FRAME
    assert f"{frame['type']}." in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("members", "code"), BAD_CONTENTS)
def test_contents_over_the_limits_are_answered_with_a_nack(
    members: dict[str, Any], code: NackCode
) -> None:
    """One bad utterance does not end a conversation."""
    with pytest.raises(Unacceptable) as caught:
        decode(FROM_AGENT, utterance(segment="seg_x", revision=7, **members))
    nack = caught.value.nack
    assert (nack.segment, nack.revision, nack.code, nack.terminal) == ("seg_x", 7, code, True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-22T17:30:00Z", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("2026-11-22t17:30:00.5z", datetime(2026, 11, 22, 17, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22T17:30:00.123456789Z", datetime(2026, 11, 22, 17, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-22T19:30:00+02:00", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_rfc_3339(written: str, meant: datetime) -> None:
    """Any offset and precision is accepted; nanoseconds are truncated."""
    frame = decode(FROM_AGENT, utterance(startedAt=written))
    assert isinstance(frame, Utterance)
    assert frame.started_at == meant


def test_texts_and_frames_may_fill_their_limits() -> None:
    """32 KiB of text and frames of 64 KiB pass; one byte more does not."""
    full = decode(FROM_AGENT, utterance(text="ä" * (16 * 1024)))
    assert isinstance(full, Utterance)
    with pytest.raises(Unacceptable):
        decode(FROM_AGENT, utterance(text="ä" * (16 * 1024) + "a"))
    ready = '{"type": "ready"%s}'
    padding = " " * (64 * 1024 - len(ready % ""))
    assert decode(FROM_AGENT, ready % padding) == Ready()
    with pytest.raises(FrameError) as caught:
        decode(FROM_AGENT, ready % (padding + " "))
    assert caught.value.close_code is CloseCode.TOO_BIG


def test_any_line_a_person_may_type_reaches_an_agent() -> None:
    """JSON needs six bytes per control character; a line full of them still fits a frame."""
    line = Input("k" * 128, "\x01" * (32 * 1024))
    data = encode(line)
    assert Exchange(BRIDGE_DIALECT, Side.AGENT)._longest >= len(data.encode())
    assert decode(BRIDGE_DIALECT.from_server, data, 256 * 1024) == line


def test_members_that_nobody_knows_are_ignored() -> None:
    """A newer agent may send members that this server doesn't know."""
    assert decode(FROM_AGENT, '{"type": "ready", "mood": "good"}') == Ready()
    assert decode(FROM_AGENT, r'{"type": "ready", "\ud800": "\ud800"}') == Ready()
    named = decode(FROM_AGENT, r'{"type": "hello", "token": "t", "\ud800": 1}')
    assert named == Hello("t")


def test_an_agent_ignores_frames_it_does_not_know_and_the_server_refuses_them() -> None:
    """Servers are upgraded first."""
    agent = Exchange(BRIDGE_DIALECT, Side.AGENT)
    assert agent.receive('{"type": "news"}') is None
    with pytest.raises(FrameError, match="type must be one of hello, ready"):
        Exchange(BRIDGE_DIALECT, Side.SERVER).receive('{"type": "news"}')


def test_what_is_secret_or_said_is_not_in_a_repr() -> None:
    """Frames get logged; tokens, keys and words must not."""
    now = datetime.now(UTC)
    for frame in (
        Hello("secret"),
        WorkerHello("secret", ("a",), 1),
        Start("s", 1, "a", "secret", "secret"),
        Input("k", "secret"),
        Utterance(
            segment="s", role="USER", text="secret", final=True, started_at=now, speaker="secret"
        ),
    ):
        assert "secret" not in repr(frame)


keys = st.text(min_size=1, max_size=128).filter(str.isprintable)
counts = st.integers(1, 2**53 - 1)
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300
).filter(lambda text: bool(text.strip()))
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
times = st.datetimes(datetime(1970, 1, 2), datetime(2026, 1, 1), timezones=offsets)
secrets = st.text(min_size=1, max_size=300).filter(str.isprintable)
utterances = st.builds(
    Utterance,
    segment=keys,
    revision=counts,
    role=st.sampled_from(["USER", "AGENT"]),
    text=texts,
    final=st.booleans(),
    started_at=times,
    ended_at=st.none() | times,
    interrupted=st.booleans(),
    confidence=st.none() | st.floats(0, 1),
    language=st.none() | st.text(min_size=1, max_size=35).filter(str.isprintable),
    speaker=st.none() | keys,
    source=st.sampled_from(["SPEECH", "TYPED"]),
)
states = st.sampled_from(["INITIALIZING", "LISTENING", "THINKING", "SPEAKING"])
from_agent = st.one_of(
    st.builds(Hello, secrets, st.lists(keys, max_size=32).map(tuple)),
    st.just(Ready()),
    utterances,
    st.builds(AgentState, states),
    st.builds(InputAck, keys),
    st.builds(Bye, keys),
)
to_agent = st.one_of(
    st.builds(Welcome, keys, counts, st.booleans()),
    st.builds(Ack, keys, counts),
    st.builds(Nack, keys, counts, keys, texts, st.booleans()),
    st.builds(Input, keys, texts),
    st.builds(Stop, keys),
)
from_worker = st.one_of(
    st.builds(
        WorkerHello,
        secrets,
        st.lists(keys, min_size=1, max_size=3).map(tuple),
        st.integers(0, 10_000),
    ),
    st.builds(Places, st.integers(0, 10_000)),
    st.builds(Started, keys, counts),
    st.builds(Refused, keys, counts, keys),
)
to_worker = st.one_of(
    st.just(WorkerWelcome()), st.builds(Start, keys, counts, keys, secrets, secrets)
)


@given(from_agent)
def test_what_an_agent_encodes_the_server_decodes(frame: Frame) -> None:
    """A round trip preserves any frame."""
    assert decode(BRIDGE_DIALECT.from_agent, encode(frame)) == frame


@given(to_agent)
def test_what_the_server_encodes_an_agent_decodes(frame: Frame) -> None:
    """The same holds in the other direction."""
    assert decode(BRIDGE_DIALECT.from_server, encode(frame)) == frame


@given(from_worker)
def test_what_a_worker_encodes_the_server_decodes(frame: Frame) -> None:
    """The same holds for workers."""
    assert decode(WORKER_DIALECT.from_agent, encode(frame)) == frame


@given(to_worker)
def test_what_the_server_encodes_a_worker_decodes(frame: Frame) -> None:
    """The same holds for frames to workers."""
    assert decode(WORKER_DIALECT.from_server, encode(frame)) == frame


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from([*words(), "type", "token", "capabilities", "state", "key", "reason"])


@given(
    st.sampled_from(["hello", "ready", "utterance", "agentState", "inputAck", "bye"]),
    st.dictionaries(names, json_values),
)
def test_no_frame_at_all_makes_anything_but_a_refusal(kind: str, members: dict[str, Any]) -> None:
    """Any members yield a frame, a FrameError or an Unacceptable."""
    try:
        frame = decode(FROM_AGENT, json.dumps({**words(), **members, "type": kind}))
    except (FrameError, Unacceptable):
        return
    assert frame is not None


FRAMES: dict[type[Frame], Frame] = {
    type(frame): frame
    for frame in (
        Hello("t"),
        Ready(),
        Utterance(
            segment="s",
            revision=1,
            role="USER",
            text="t",
            final=True,
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        AgentState("LISTENING"),
        InputAck("k"),
        Bye("r"),
        Welcome("s", 1, True),
        Ack("s", 1),
        Nack("s", 1, "c", "m", True),
        Input("k", "t"),
        Stop("r"),
        WorkerHello("k", ("a",), 1),
        Places(1),
        Started("s", 1),
        Refused("s", 1, "r"),
        WorkerWelcome(),
        Start("s", 1, "a", "b", "c"),
    )
}
OPENING: dict[Phase, list[type[Frame]]] = {
    Phase.HELLO: [],
    Phase.GREETING: [Hello],
    Phase.OPEN: [Hello, Welcome],
    Phase.LEAVING: [Hello, Welcome, Bye],
}
MAY_PASS: dict[Phase, set[type[Frame]]] = {
    Phase.HELLO: {Hello},
    Phase.GREETING: {Welcome},
    Phase.OPEN: {Ready, Utterance, AgentState, InputAck, Bye, Ack, Nack, Input, Stop},
    Phase.LEAVING: {Ack, Nack, Input, Stop},
}


def passed(dialect: Dialect, side: Side, kinds: list[type[Frame]]) -> Exchange:
    """Return an exchange through which these frames have passed."""
    exchange = Exchange(dialect, side)
    for kind in kinds:
        exchange.send(FRAMES[kind])
    return exchange


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", FRAMES)
def test_both_sides_hold_the_same_table_of_what_may_pass_when(
    side: Side, phase: Phase, kind: type[Frame]
) -> None:
    """The test tries every frame in every state, sent and received."""
    exchange = passed(BRIDGE_DIALECT, side, OPENING[phase])
    assert exchange.phase is phase
    if kind in MAY_PASS[phase]:
        exchange.send(FRAMES[kind])
    else:
        with pytest.raises(FrameError, match="out of place"):
            exchange.send(FRAMES[kind])
        assert exchange.phase is phase


def test_a_worker_may_report_places_only_after_the_welcome() -> None:
    """The worker's dialect differs: it has no state LEAVING."""
    exchange = Exchange(WORKER_DIALECT, Side.SERVER)
    with pytest.raises(FrameError, match="out of place in the state HELLO"):
        exchange.receive(encode(Places(1)))
    exchange.receive(encode(WorkerHello("k", ("a",), 1)))
    exchange.send(WorkerWelcome())
    assert exchange.receive(encode(Places(1))) == Places(1)
    with pytest.raises(FrameError, match="out of place in the state OPEN"):
        exchange.receive(encode(WorkerHello("k", ("a",), 1)))
