"""The protocol's state machine, without a connection."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.transport import protocol
from schema.transport.protocol import Complete, Initialise, Ping, Protocol, Subscribe, Violation

INIT = {"type": "connection_init"}


def subscribe(id_: str) -> dict[str, Any]:
    return {"type": "subscribe", "id": id_, "payload": {"query": "{ viewer { id } }"}}


def complete(id_: str) -> dict[str, Any]:
    return {"type": "complete", "id": id_}


def acknowledged() -> Protocol:
    found = Protocol()
    found.receive(INIT)
    assert json.loads(found.acknowledge()) == {"type": "connection_ack"}
    return found


def test_an_operation_is_known_until_it_ends() -> None:
    """Its id is free again after either side has ended it."""
    found = acknowledged()
    assert found.receive(subscribe("a")) == Subscribe("a", "{ viewer { id } }", None, None)
    assert found.receive(subscribe("b")) == Subscribe("b", "{ viewer { id } }", None, None)
    assert found.operations == 2

    assert found.receive(complete("a")) == Complete("a")
    assert found.end("b")

    assert found.operations == 0
    assert found.receive(complete("a")) is None, "completed twice"
    assert found.receive(complete("b")) is None, "completed by the server already"
    assert not found.end("b")
    assert isinstance(found.receive(subscribe("a")), Subscribe)


def test_credentials_are_handed_over_once() -> None:
    """A second `connection_init` is a violation, also before the first is acknowledged."""
    found = Protocol()
    payload: dict[str, object] = {"Authorization": "Bearer x"}
    assert found.receive({**INIT, "payload": payload}) == Initialise(payload)

    with pytest.raises(Violation) as again:
        found.receive(INIT)

    assert again.value.code == protocol.TOO_MANY_INITS


@pytest.mark.parametrize("message", [{"type": "ping"}, {"type": "ping", "payload": {"a": 1}}])
def test_a_ping_may_come_at_any_time(message: object) -> None:
    """Even before `connection_init`."""
    assert Protocol().receive(message) == Ping()
    assert acknowledged().receive(message) == Ping()


def test_what_the_server_says_is_json() -> None:
    """Ids are the client's texts, so they are quoted."""
    id_ = 'a"\n\ud800'
    assert json.loads(protocol.complete(id_)) == {"id": id_, "type": "complete"}
    assert json.loads(protocol.error(id_, [{"message": "no"}])) == {
        "id": id_,
        "type": "error",
        "payload": [{"message": "no"}],
    }
    assert json.loads(protocol.before_payload(id_) + "1}") == {
        "id": id_,
        "type": "next",
        "payload": 1,
    }


IDS = st.sampled_from(["a", "b", "c"])
MESSAGES = st.one_of(
    st.just(INIT),
    st.just("acknowledge"),
    st.builds(subscribe, IDS),
    st.builds(complete, IDS),
    st.tuples(st.just("end"), IDS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["type", "id", "payload", "query"]), inner, max_size=3
            )
        ),
        max_leaves=5,
    ),
)


@given(st.lists(MESSAGES, max_size=30))
def test_whatever_comes_the_state_holds(course: list[Any]) -> None:
    """Operations run only after the acknowledgement, each under an id of its own."""
    found = Protocol()
    is_initialised = is_acknowledged = False
    running: set[str] = set()
    refused: Violation | None = None
    for message in course:
        if message == "acknowledge":
            if is_initialised:
                found.acknowledge()
                is_acknowledged = True
            continue
        if isinstance(message, tuple):
            assert found.end(message[1]) == (message[1] in running)
            running.discard(message[1])
            continue
        try:
            received = found.receive(message)
        except Violation as violation:
            refused = violation
            break
        match received:
            case Initialise():
                assert not is_initialised
                is_initialised = True
            case Subscribe(id=id_):
                assert is_acknowledged
                assert id_ not in running
                running.add(id_)
            case Complete(id_):
                running.remove(id_)
        assert found.operations == len(running)
    assert refused is None or 4400 <= refused.code <= 4499
    assert refused is None or 0 < len(refused.reason.encode()) <= 123
