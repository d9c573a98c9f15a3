"""Tests for every audio line between an agent and a person."""
