"""The code specific to SQLite: connections, errors, search, backup, damage check, process lock."""
