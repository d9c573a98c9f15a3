"""Full-text search: tokens, the index, and what matches."""
