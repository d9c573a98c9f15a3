"""The other parts of the page: accounts, history, settings, and how it looks."""
