"""Events on their way from the commit to whoever watches."""
