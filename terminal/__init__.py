"""`voxql talk`: a client of the public interfaces, for a terminal."""
