"""Tests of the project's files and how they fit together."""
