"""Tests with a full disk, a locked or damaged database, and restored backups."""
