"""Accounts, their logins and API tokens, and what becomes of their conversations."""
