"""Tests of several processes of one database, whose events are late, reordered or lost."""
