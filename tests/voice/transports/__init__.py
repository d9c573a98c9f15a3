"""Tests for every audio transport between an agent and a person."""
