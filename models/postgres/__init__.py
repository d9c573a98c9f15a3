"""The code specific to PostgreSQL: connections, errors, search."""
