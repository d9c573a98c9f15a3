"""Tests of the tables: models, migrations, queries and search."""
