"""The client examples of docs/clients, run as documented."""
