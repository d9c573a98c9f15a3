"""The whole way: a person's sound in, transcripts and the agent's voice out, through real parts."""
