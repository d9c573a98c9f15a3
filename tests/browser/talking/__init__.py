"""A conversation on the page, and what can go wrong with its sound."""
