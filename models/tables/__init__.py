"""The tables, as the ORM maps them."""
