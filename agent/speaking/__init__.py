"""The agent's replies: their text, their audio, and how much of them was heard."""
