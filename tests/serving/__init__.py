"""Tests of the server: its answers, its limits, its data, and its process."""
