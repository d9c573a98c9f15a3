"""`python -m schema` writes the schema to `schema/schema.graphql`, for people and tools."""

from pathlib import Path

from schema.executable import EXECUTABLE

if __name__ == "__main__":
    (Path(__file__).parent / "schema.graphql").write_text(EXECUTABLE.as_str() + "\n")
