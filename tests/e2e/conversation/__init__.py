"""The story of one person's conversations, with all that is lost on the way."""
