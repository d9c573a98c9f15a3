"""Full-text search: tokens, the index, and matching."""
