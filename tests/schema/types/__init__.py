"""The types of the schema, field by field."""
