"""`voxql talk`: a client of the public interfaces, which imports no other package of VoxQL."""
