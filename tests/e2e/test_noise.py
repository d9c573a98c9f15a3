"""What nobody said is not in the transcript."""

import pytest

from tests.e2e.person import Person
from tests.e2e.seen import joined
from tests.e2e.sound import noises, recording
from tests.e2e.words import error_rate
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(120)

EACH_S = 3.0


async def test_noise_is_no_speech(speaking: ServerProcess) -> None:
    """Noise, hum, clicks and silence make no utterance; speech after them is understood."""
    async with Person(speaking.url) as person, await person.talk() as call:
        for name, pcm in noises(EACH_S).items():
            await call.hear(pcm, name).done
        clip = recording("0880")
        said = call.say(clip)
        await call.answered(said)

        assert [seen for seen in call.seen if seen.at < said.began] == []
        assert call.replies[0].began > said.voice_ended - 0.5
        assert error_rate([clip.text], [joined(call.finals("USER"))]) <= 0.25
        assert [one["role"] for one in await person.utterances(call.id)] == ["USER", "AGENT"]
