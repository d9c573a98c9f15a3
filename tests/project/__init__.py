"""Tests of the project itself: what its files promise each other."""
