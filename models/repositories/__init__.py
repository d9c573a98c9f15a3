"""Queries, grouped by subject. Functions take the connection to use, or use `reader()`."""
