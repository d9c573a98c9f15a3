"""The voice agent and its audio transport."""
