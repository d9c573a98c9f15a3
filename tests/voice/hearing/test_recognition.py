"""The shipped recogniser and voice, on real speech."""

import asyncio
import random
import time

import jiwer
import numpy as np
import numpy.typing as npt
import pytest
from livekit import rtc
from livekit.agents import stt

from agent.speaking.playout import TimedWords
from agent.speech import SpeechMissing, load_recogniser, load_voice
from agent.speech.hibari_voice import HibariVoice, split_sentence
from agent.speech.recogniser import LocalRecogniser
from tests.speech.recordings import RATE, cards, plain, sentences, silence

pytestmark = [pytest.mark.sample_clock, pytest.mark.usefixtures("clock")]
Sound = npt.NDArray[np.int16]
KINDS = stt.SpeechEventType


async def recognise(
    recogniser: LocalRecogniser, sound: Sound
) -> list[tuple[float, stt.SpeechEvent]]:
    """Play sound to a new stream; return its events with their time since the start."""
    events: list[tuple[float, stt.SpeechEvent]] = []
    loop = asyncio.get_running_loop()
    async with recogniser.stream() as stream:
        began = loop.time()

        async def listen() -> None:
            async for event in stream:
                events.append((loop.time() - began, event))

        listening = asyncio.create_task(listen())
        for start in range(0, len(sound), 640):
            part = sound[start : start + 640]
            stream.push_frame(rtc.AudioFrame(part.tobytes(), RATE, 1, len(part)))
            # In real time, which takes no time on the sample clock.
            await asyncio.sleep(began + (start + len(part)) / RATE - loop.time())
        stream.end_input()
        await asyncio.wait_for(listening, 30)
    return events


def texts(events: list[tuple[float, stt.SpeechEvent]], kind: stt.SpeechEventType) -> list[str]:
    return [event.alternatives[0].text for _, event in events if event.type is kind]


def final_text(events: list[tuple[float, stt.SpeechEvent]]) -> str:
    return plain(" ".join(texts(events, KINDS.FINAL_TRANSCRIPT)))


async def test_read_speech_is_recognised_soon_after_it_is_spoken(
    recogniser: LocalRecogniser,
) -> None:
    """In ten recordings at most 8 % of the words are wrong; the median final takes 0.3 s."""
    # The number of interims does not change the finals.
    patient = LocalRecogniser(
        recogniser.decoders, recogniser.new_detector, model="", language="en", interval=4
    )
    heard, latencies = [], []
    for clip in (*sentences(), *cards()):
        events = await recognise(patient, np.concatenate([clip.pcm, silence(1)]))
        heard.append((clip.words, final_text(events)))
        final_at = max(at for at, event in events if event.type is KINDS.FINAL_TRANSCRIPT)
        latencies.append(final_at - clip.voice_ends)
    assert jiwer.wer([said for said, _ in heard], [got for _, got in heard]) <= 0.08
    # 0.28 s, at most 0.38 s: the pause that ends an utterance. Decoding takes no time here.
    assert float(np.median(latencies)) <= 0.3
    assert max(latencies) <= 0.4


async def test_events_come_in_livekits_order(recogniser: LocalRecogniser) -> None:
    """START, interims, a final, END; the final has the times of its words."""
    clip = sentences()[1]
    began = time.time()
    events = await recognise(recogniser, np.concatenate([silence(0.5), clip.pcm, silence(1)]))
    kinds = [event.type for _, event in events]
    assert kinds[0] is KINDS.START_OF_SPEECH
    assert kinds[-2:] == [KINDS.FINAL_TRANSCRIPT, KINDS.END_OF_SPEECH]
    assert set(kinds[1:-2]) == {KINDS.INTERIM_TRANSCRIPT}
    assert len(set(texts(events, KINDS.INTERIM_TRANSCRIPT))) >= 3
    final = events[-2][1]
    assert final.speech_start_time is not None
    assert final.speech_end_time is not None
    assert final.speech_start_time - began == pytest.approx(0.4, abs=0.4)
    assert final.speech_end_time - began == pytest.approx(0.5 + clip.voice_ends, abs=0.4)


def noises() -> dict[str, Sound]:
    rng = np.random.default_rng(7)
    time_ = np.arange(4 * RATE) / RATE
    white = rng.normal(size=len(time_))
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum, len(time_))
    clicks = np.zeros(len(time_))
    clicks[:: RATE // 3] = 1
    loud = {
        "silence": 0 * time_,
        "white": white / 10,
        "pink": pink / np.abs(pink).max(),
        "hum": 0.5 * np.sin(2 * np.pi * 50 * time_) + 0.2 * np.sin(2 * np.pi * 150 * time_),
        "clicks": clicks,
        "bursts": white / 4 * (np.sin(2 * np.pi * 2 * time_) > 0),
        "siren": 0.4 * np.sin(2 * np.pi * (400 * time_ + 60 * np.sin(2 * np.pi * time_))),
    }
    return {name: np.clip(x * 32_767, -32_768, 32_767).astype(np.int16) for name, x in loud.items()}


async def test_noise_makes_no_utterance_and_speech_after_it_does(
    recogniser: LocalRecogniser,
) -> None:
    """Silence, white and pink noise, hum, clicks, bursts and a siren yield no word and no event."""
    clip = sentences()[1]
    noise = np.concatenate(list(noises().values()))
    events = await recognise(recogniser, np.concatenate([noise, clip.pcm, silence(1)]))
    first = events[0][1].speech_start_time
    words = [event for _, event in events if event.alternatives]
    assert first is not None
    assert jiwer.wer(clip.words, final_text(events)) <= 0.3
    assert len([word for word in words if word.type is KINDS.FINAL_TRANSCRIPT]) == 1


WORDS = (
    *("garden", "window", "river", "mountain", "winter", "summer", "bottle", "table", "kitchen"),
    *("market", "butter", "yellow", "paper", "doctor", "number", "morning", "village", "music"),
    *("picture", "silver", "station", "ticket", "water", "finger", "island"),
)


async def test_the_recogniser_understands_the_voice(
    recogniser: LocalRecogniser, voice: HibariVoice
) -> None:
    """Common words in a random order are spoken and recognised."""
    rng = random.Random()
    said = f"The {' and the '.join(rng.sample(WORDS, 5))}."
    spoken = voice.speak(said)
    events = await recognise(
        recogniser, np.concatenate([silence(0.3), resampled(spoken.pcm), silence(1)])
    )
    # Letters, because a word heard as two counts as two wrong words.
    assert jiwer.cer(plain(said), final_text(events)) <= 0.2, said


@pytest.mark.parametrize("word", ["Yes.", "No.", "Stop.", "Hello.", "Seven."])
async def test_single_words_are_heard(
    recogniser: LocalRecogniser, voice: HibariVoice, word: str
) -> None:
    """Short answers are half of a conversation."""
    sound = resampled(voice.speak(word).pcm)
    events = await recognise(recogniser, np.concatenate([silence(0.5), sound, silence(1)]))
    assert final_text(events) in (plain(word), {"Seven.": "7"}.get(word))


async def test_an_interrupted_reply_is_cut_where_the_recogniser_hears_its_end(
    recogniser: LocalRecogniser, voice: HibariVoice
) -> None:
    """Wherever the reply is cut, its text is what the recogniser hears, give or take a word."""
    reply = "The garden behind the old station is full of yellow summer flowers."
    spoken = voice.speak(reply)
    words = TimedWords()
    for word in spoken.words:
        words.add(*word)
    assert words.text == reply
    assert words.heard(0) == ""
    assert words.heard(spoken.samples) == reply
    for samples in range(spoken.samples // 5, spoken.samples, spoken.samples // 5):
        text = words.heard(samples)
        assert reply.startswith(text)
        sound = resampled(spoken.pcm[: 2 * samples])
        events = await recognise(recogniser, np.concatenate([silence(0.3), sound, silence(1)]))
        assert abs(len(final_text(events).split()) - len(text.split())) <= 1, (text, events)


def resampled(pcm: bytes) -> Sound:
    """Resample from 24,000 to 16,000 samples a second."""
    sound = np.frombuffer(pcm, "<i2").astype(np.float64)
    places = np.arange(0, len(sound) - 1, 1.5)
    return np.asarray(np.interp(places, np.arange(len(sound)), sound), np.int16)


@pytest.mark.parametrize(
    ("text", "whole", "parts"),
    [
        ("One. Two", False, ("One. ", "Two")),
        ("Hello there. ", False, ("Hello there. ", "")),
        ("Hello there.", False, ("", "Hello there.")),
        ("Hello there.", True, ("Hello there.", "")),
        ("Mr. Brown is here", False, ("", "Mr. Brown is here")),
        ("It costs 3. 5 of them", False, ("It costs 3. ", "5 of them")),
        ('He said "Go." Then', False, ('He said "Go." ', "Then")),
        ("Really?! Yes", False, ("Really?! ", "Yes")),
        ("  ", True, ("  ", "")),
    ],
)
def test_sentences_are_split_off(text: str, whole: bool, parts: tuple[str, str]) -> None:
    """A sentence is spoken as soon as it is complete."""
    assert split_sentence(text, whole=whole) == parts


def test_a_missing_package_is_told_in_words() -> None:
    """The agent says which package is missing and continues without it."""
    with pytest.raises(SpeechMissing, match="there_is_no_such_package"):
        load_recogniser("there_is_no_such_package:load")
    with pytest.raises(ValueError, match="known are hibari"):
        load_voice("gramophone")
