"""What the agent says: its text, its voice, and how much of it was heard."""
