"""Titles and names that can be displayed, and some that can't."""

from typing import Final

SHOWABLE: Final = (
    "x" * 100,
    "10\u00a0000 francs",  # no-break space
    "\u6771\u4eac\u3000\u4f1a\u8b70",  # Japanese, with an ideographic space
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
    "\U0001f469\u200d\U0001f527",  # technician: woman, joiner, wrench
    "\u200f\u05e9\u05dc\u05d5\u05dd (1)\u200e",  # Hebrew, with direction marks
    "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\U0001fae9 tired",  # from Unicode 16, which this Python may not know
    "\ue000",  # private use
)
UNSHOWABLE: Final = (
    "",
    "  ",
    "\u00a0\u3000",
    "\u200b\u200d\ufeff",
    "x" * 201,
    "two\nlines",
    "two\rlines",
    "two\u2028lines",
    "two\u2029paragraphs",
    "tab\there",
    "nul\0",
    "bell\x07",
    "del\x7f",
    "next\x85line",
    "half \ud83d",
)
