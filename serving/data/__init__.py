"""The data folder: its lock, backups, and integrity checks."""
