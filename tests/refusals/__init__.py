"""Everything the interface refuses: with which code, naming which input, and changing nothing."""
