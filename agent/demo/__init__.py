"""Answers without a language model."""
