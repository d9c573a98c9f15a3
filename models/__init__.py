"""The stored data: tables, migrations, queries, transactions, and `sqlite`, its engine."""
