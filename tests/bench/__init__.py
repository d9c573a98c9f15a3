"""Tests that the benchmarks run, whatever their speed."""
