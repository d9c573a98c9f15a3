"""The permissions in a person's room token, checked without LiveKit."""

import jwt

from agent_bridge.livekit.control import ACCESS, LiveKitControl
from tests.accesses import LOGIN
from tests.programs.livekit_server import KEY, SECRET


def test_a_persons_token_lets_them_hear_and_speak_and_nothing_else() -> None:
    """A participant that may publish data could forge the agent's transcript."""
    control = LiveKitControl("ws://127.0.0.1:9", KEY, SECRET)
    token, expires_at = control.token("room-1", "person-a", LOGIN)

    claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)

    assert claims["sub"] == "person-a"
    assert claims["attributes"] == {ACCESS: LOGIN}
    assert claims["video"] == {
        "roomJoin": True,
        "room": "room-1",
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": False,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
    }
    assert abs(claims["exp"] - expires_at.timestamp()) <= 1
