"""Who somebody is: accounts, logins, API tokens, rate limits."""
