"""End-to-end tests: a person's sound in, transcripts and the agent's voice out, with real parts."""
