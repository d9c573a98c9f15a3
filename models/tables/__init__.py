"""The tables as ORM models."""
