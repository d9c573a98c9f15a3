"""One suite for every line between an agent and a person."""
