"""Full-text search: tokens of texts, words of a search, and snippets."""
