"""The spoken part of a Markdown answer, which does not depend on how the text is split."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.speaking.plain_words import LONGEST, PlainWords
from agent.speaking.spoken import Sources, words_of
from tests.processor import processor_time

SAMPLE = """## Plan for **Monday** ##

Buy *fresh* eggs, **_good_ butter** and `code*x*` from [the shop](https://shop.example/a_b "(!)"),
or see https://www.example.com/a(b)?x=1. Ask <mailto:ann@example.com> &amp; <b>me</b><br>now.

1. ~~Old~~ new
   - [x] item _one_ \\*kept\\* snake_case 5 * 3
> quoted "it" \U0001f44b\U0001f3fd
| a | b |
|---|:-:|
| 1 |  | 2 |
```python
print("x * y")
```
***
That is all![^1] <!-- not this --> ![A picture](https://elsewhere.example/p.png)

[^1]: Nearly.
[shop]: https://shop.example "Shop"
"""
SAID = """Plan for Monday
Buy fresh eggs, good butter and code*x* from the shop, or see www.example.com. Ask ann@example.com
& me now. 1. Old new item one *kept* snake_case 5 * 3 quoted "it" a, b 1, 2 print("x * y")
That is all! A picture Nearly."""

CASES = {
    # Emphasis, and what only looks like it.
    "**Bold**, *leaning* and ***both***.": "Bold, leaning and both.",
    "__Bold__ and _leaning_.": "Bold and leaning.",
    "**Note:** it costs 5*3*2 or 5 * 3, not 2**3.": "Note: it costs 5*3*2 or 5 * 3, not 2**3.",
    "A snake_case name, *never closed": "A snake_case name, never closed",
    "这是**重点**内容 *对*吗": "这是重点内容 对吗",
    "~~Gone~~ words, ~5 left": "Gone words, ~5 left",
    # Blocks.
    "# Title #\nText": "Title \nText",
    "#1 in C# and #2": "#1 in C# and #2",
    "Title\n=====\nText": "Title\nText",
    "- eggs\n* milk\n+ tea\n\u2022 jam": "eggs\nmilk\ntea\njam",
    "-5 degrees": "-5 degrees",
    "42. Is there more?": "42. Is there more?",
    "> > Twice quoted": "Twice quoted",
    "- [ ] open\n- [x] done": "open\ndone",
    "One\n\n---\n\nTwo": "One\nTwo",
    "| a | b |\n|--|--|\n| c | |": "a, b\nc",
    "```sh\nls *.py\n```\nDone": "ls *.py\nDone",
    "~~~\n# no heading\n~~~": "# no heading\n",
    "```\nnever closed": "never closed",
    # Links, addresses, HTML.
    "[words](<a b> 'title') and [x](a(b)c)": "words and x",
    "[words][1] of f(x) [or not](see below)": "words1 of f(x) or not(see below)",
    "![alt](data:image/png;base64,AAAA)": "alt",
    "At https://example.com/a/b?c=d, or http://[": "At example.com, or http://[",
    "<https://example.com/x>": "example.com",
    "1 < 2 and <name> or <y and more> there": "1 < 2 and <name> or <y and more> there",
    "<p class='x'>Hi</p><script>x</script>": "Hi x",
    "AT&T, R&amp;D, &#72;i &nope; 20\u00b0C &": "AT&T, R&D, Hi &nope; 20\u00b0C &",
    # Emoji; a digit with a keycap is still that digit.
    "Hi \U0001f468\u200d\U0001f469\u200d\U0001f467! Press 1\ufe0f\u20e3.": "Hi ! Press 1.",
    "With \u2764\ufe0f": "With ",
    "\u0d28\u0d4d\u200d": "\u0d28\u0d4d\u200d",
    "\U0001f600": "",
    "***": "",
    "": "",
}


def said(pieces: Iterable[str]) -> str:
    """Return the spoken text; check that the sources add up to the input."""
    words = PlainWords()
    found = [piece for text in pieces for piece in words.push(text)] + words.end()
    assert "".join(source for _, source in found) == "".join(pieces)
    return "".join(said for said, _ in found)


@pytest.mark.parametrize("text", CASES)
def test_marks_are_not_said_and_words_are(text: str) -> None:
    """Every kind of mark is dropped; similar characters with another meaning stay."""
    assert said([text]) == CASES[text]


def test_a_whole_answer_is_said_without_its_marks() -> None:
    """One text has all kinds of marks side by side."""
    assert said([SAMPLE]).split() == SAID.split()


def test_it_does_not_matter_where_a_text_is_cut() -> None:
    """Texts are split in two at every position, and into single characters."""
    whole = said([SAMPLE])
    for text in (SAMPLE, *CASES):
        whole = said([text])
        for place in range(len(text)):
            assert said([text[:place], text[place:]]) == whole, text[:place]
        assert said(list(text)) == whole


MARKS = st.lists(
    st.sampled_from(
        [
            *"*_`~#>|-+=![]()<>&;:.\\/\n \r\t19ahtps\u200d\U0001f600\u4e2d\"'",
            *(
                "**",
                "```",
                "](",
                "https://",
                "<b",
                "<!--",
                "-->",
                "| ",
                "\n\n",
                "1. ",
                "word",
                "]: ",
            ),
        ]
    ),
    max_size=30,
).map("".join)


@given(MARKS, st.lists(st.integers(0, 60), max_size=6))
@example("[a](https://x\n", [14])
def test_no_text_is_said_differently_in_pieces(text: str, cuts: list[int]) -> None:
    """Splitting the text changes nothing, for any mixture of marks."""
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    assert said(pieces) == said([text])


@given(MARKS)
def test_every_letter_is_said_that_is_in_no_mark(text: str) -> None:
    """A voice that left out words would be worse than one that said marks."""
    if not any(mark in text for mark in ("](", "<", "&", "://", "]:", "[^", "```", "~~~")):
        letters = [letter for letter in text if letter.isalnum()]
        boxes = text.count("[x]") + text.count("[X]")
        assert [letter for letter in said([text]) if letter.isalnum()] == letters or boxes


@given(st.text(max_size=60))
def test_any_text_at_all_is_taken(text: str) -> None:
    """Any characters are accepted."""
    said(list(text))


def test_a_word_waits_for_nothing() -> None:
    """Unambiguous text is said at once: before a sentence ends, and after an unpaired mark."""
    words = PlainWords()
    pieces = ["**Wel", "come**", " to *the", " shop", " [at the", " corner](https://x"]
    at_once = ["".join(said for said, _ in words.push(piece)) for piece in pieces]
    assert at_once == ["Wel", "come", " to the", " shop", " at the", " corner"]


@pytest.mark.parametrize("opening", ["[a](", "https://", "<b c='", "&", "| -", "```", "[a"])
def test_what_is_held_back_has_an_end(opening: str) -> None:
    """A mark that never ends is taken for text."""
    words = PlainWords()
    taken = words.push("x\n" + opening)
    for _ in range(LONGEST + 300):
        taken += words.push("a" if opening != "| -" else "-")
    kept = 2 + len(opening) + LONGEST + 300 - sum(len(source) for _, source in taken)
    assert kept <= LONGEST + 1


@pytest.mark.parametrize(
    "hard",
    [
        *(">", "[", "](", "<a b='", "<!--", "http://", "*", "*a ", "`", "- ", "|", "# ", "&", "\\"),
        *("[a](", "](a(b)", "1. ", "_a", "\n[a]:", "<!-", " ", "a", "\U0001f600", "!["),
    ],
)
def test_a_hard_text_takes_a_moment(hard: str) -> None:
    """32 KiB of the same mark, in model-sized pieces, stay within a generous limit."""
    text = hard * (32_768 // len(hard)) + "x"
    with processor_time() as spent:
        said([text[place : place + 5] for place in range(0, len(text), 5)])
    assert spent.seconds < 4


@given(MARKS, st.data())
def test_what_the_voice_says_is_found_in_the_source_once(text: str, data: st.DataObject) -> None:
    """Whichever words the voice reports, and whatever else it says, nothing is lost or doubled."""
    sources, words = Sources(), PlainWords()
    plain = sources.add(words.push(text)) + sources.add(words.end())
    told = [word for word in plain.split() if data.draw(st.booleans())]
    told.insert(data.draw(st.integers(0, len(told))), "never written")
    assert "".join(map(sources.of, told)) + sources.rest() == text


def test_a_words_marks_go_with_it() -> None:
    """A closing mark goes with the word before it, an opening mark with the one after it."""
    text = "Hello **big *world***, see [the docs](https://x.example/y).\n\n- one\n- `two`\n"
    assert [source for source, _ in words_of(text)] == [
        *("Hello", " **big", " *world***,", " see", " [the", " docs](https://x.example/y)."),
        *("\n\n- one", "\n- `two`\n"),
    ]
