"""From sound to reported words: the recogniser and its parts."""
