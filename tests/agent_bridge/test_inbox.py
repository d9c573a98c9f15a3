"""The agent's inbox delivers each typed line once."""

from agent_bridge.client.inbox import Inbox, InputCommand


async def test_a_typed_line_that_is_handed_over_again_is_given_out_once() -> None:
    """This holds before the acknowledgement; after it, only the acknowledgement is sent again."""
    inbox = Inbox(lambda: None)
    inbox.typed("k1", "one")
    assert await inbox.get(auto_ack=False) == InputCommand("k1", "one")

    inbox.typed("k1", "one")
    inbox.typed("k2", "two")
    assert await inbox.get(auto_ack=False) == InputCommand("k2", "two")
    assert inbox.next_ack() is None

    inbox.acknowledge("k1")
    assert inbox.next_ack() == "k1"
    inbox.typed("k1", "one")
    assert inbox.next_ack() == "k1"
    assert inbox.next_ack() is None
