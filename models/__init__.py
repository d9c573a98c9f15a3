"""The stored data: tables, migrations, queries, transactions, and an engine for each database."""
