"""What is said in a conversation: how it is written, ordered, and streamed."""
