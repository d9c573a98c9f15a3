"""What a stretch of speech was about, in a few of its own words."""

import re
from typing import Final

_MOST_WORDS: Final = 8
_COMMON: Final = frozenset(
    """
    a about above actually after again all almost also always am an and any anything are aren't as
    at away back be because been before being below between both but by can can't cannot come could
    couldn't did didn't do does doesn't doing don't done down each either else enough even ever
    every everything few for from get gets getting give go goes going gone good got had hadn't has
    hasn't have haven't having he he's her here here's hers herself him himself his how however i
    i'd i'll i'm i've if in into is isn't it it's its itself just know let let's like little long
    look lot made make makes many may maybe me mean might more most much must my myself need never
    no nor not nothing now of off often oh okay on once one only or other our ours out over own
    perhaps please put quite rather really right said same say see seem seems shall she she's should
    shouldn't so some something soon still such sure take than thank that that's the their theirs
    them themselves then there there's these they they're they've thing things think this those
    though through to too took two under unless until up upon us very want was wasn't way we we'll
    we're we've well went were weren't what what's when where which while who whom whose why will
    with within without won't would wouldn't yes yet you you'd you'll you're you've your yours
    """.split()  # noqa: SIM905 - a list of three hundred strings would fill a page each
)


def gist(text: str) -> str:
    """Return a short text in quotation marks, or "about" and what a longer one was about."""
    words = text.split()
    plain = [_bare(word) for word in words]
    if len(words) <= _MOST_WORDS:
        return quoted(text)
    kept: list[str] = []
    for index, (word, bare) in enumerate(zip(words, plain, strict=True)):
        common = bare.lower() in _COMMON or len(bare) < 3 or bare.endswith("ly")
        if common or bare.lower() in map(str.lower, kept):
            continue
        follows = bool(kept) and plain[index - 1] == kept[-1].split()[-1]
        if follows and _is_name(word) and _is_name(kept[-1]) and words[index - 1][-1] not in ",!?":
            kept[-1] = f"{kept[-1]} {bare}"
            continue
        kept.append(bare)
    if not kept:
        return quoted(" ".join(words[:_MOST_WORDS]) + " \N{HORIZONTAL ELLIPSIS}")
    return f"about {_listed(_most_telling(kept))}"


def quoted(text: str) -> str:
    """Return a text as a sentence in quotation marks."""
    return f'"{sentence(text)}"'


def sentence(text: str, end: str = ".") -> str:
    """Return a text as a sentence: a capital at the start, a mark at the end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    if end and text.endswith((".", "!", "?", "\N{HORIZONTAL ELLIPSIS}")):
        return text
    return text.rstrip(".,;:!? ") + end


def _most_telling(words: list[str]) -> list[str]:
    """Keep three: names, then the longest, in the order in which they were said."""
    ranked = sorted(words, key=lambda word: (not word[0].isupper(), -len(word)))
    best = set(ranked[:3])
    return [word for word in words if word in best]


def _is_name(word: str) -> bool:
    """Whether it may be part of one: "Mr. John Dashwood" is one thing, not three."""
    return word[:1].isupper()


def _listed(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word)
