"""How the tables came to be what they are; applied by `models.database.migrate`.

After a change of a model: `tortoise -c models.database.TORTOISE_ORM makemigrations -n what_for`,
then set `atomic = False` in the new class (the run as a whole is one transaction already, and
Tortoise's own would cut triggers in two). On SQLite only add: altering or removing a field makes
Tortoise rebuild the table and forget its indexes, so that is written by hand, with RunSQL.
"""
