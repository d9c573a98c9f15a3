"""The object types, enums and scalars of the schema, and their connections."""
