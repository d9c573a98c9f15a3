"""Migrations, applied by `models.database.migrate`.

After changing a model, run `tortoise -c models.database.TORTOISE_ORM makemigrations -n what_for`,
then set `atomic = False` in the new class: the whole run is one transaction already, and Tortoise's
own would split triggers. On SQLite, only add fields. Altering or removing one makes Tortoise
rebuild the table and lose its indexes, so write that by hand, with RunSQL.
"""
