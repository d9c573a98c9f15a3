"""The clients of docs/clients, each run as its page has it."""
