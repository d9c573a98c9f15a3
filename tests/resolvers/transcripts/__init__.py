"""Writing, ordering and streaming what is said in a conversation."""
