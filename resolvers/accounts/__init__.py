"""Accounts, logins, API tokens and rate limits."""
