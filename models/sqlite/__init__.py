"""What only SQLite needs: its connection, its pragmas, and what its errors mean."""
