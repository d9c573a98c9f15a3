"""Speech for tests: recordings, synthesized sentences, and what was understood of them."""
