"""The code specific to SQLite: its connection, and what its errors mean."""
