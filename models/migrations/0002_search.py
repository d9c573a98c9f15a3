"""The search index over final texts, kept current by triggers so that no writer can forget it."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from models.migrating import Only

# `owner` is the user's id without its prefix: one token. Every search names an owner, so its cost
# grows with the searcher's own conversations, not with everybody's.
VIEW = """
CREATE VIEW utterance_search_content AS
SELECT u.number AS number, u.text AS text, substr(s.user_id, 5) AS owner
FROM utterances u JOIN sessions s ON s.id = u.session_id
WHERE u.is_final
"""

# The texts stay where they are ("external content"); the index reads them through the view.
INDEX = """
CREATE VIRTUAL TABLE utterance_search USING fts5(
    text, owner,
    content='utterance_search_content', content_rowid='number',
    tokenize='unicode61 remove_diacritics 2', prefix='2 3'
)
"""

INSERTED = """
CREATE TRIGGER utterance_search_inserted AFTER INSERT ON utterances WHEN new.is_final BEGIN
    INSERT INTO utterance_search(rowid, text, owner)
    SELECT new.number, new.text, substr(user_id, 5) FROM sessions WHERE id = new.session_id;
END
"""

UPDATED = """
CREATE TRIGGER utterance_search_updated AFTER UPDATE OF text, is_final ON utterances
WHEN (old.is_final OR new.is_final)
    AND (old.text IS NOT new.text OR old.is_final IS NOT new.is_final)
BEGIN
    INSERT INTO utterance_search(utterance_search, rowid, text, owner)
    SELECT 'delete', old.number, old.text, substr(user_id, 5)
    FROM sessions WHERE id = old.session_id AND old.is_final;
    INSERT INTO utterance_search(rowid, text, owner)
    SELECT new.number, new.text, substr(user_id, 5)
    FROM sessions WHERE id = new.session_id AND new.is_final;
END
"""

DELETED = """
CREATE TRIGGER utterance_search_deleted AFTER DELETE ON utterances WHEN old.is_final BEGIN
    INSERT INTO utterance_search(utterance_search, rowid, text, owner)
    SELECT 'delete', old.number, old.text, substr(user_id, 5)
    FROM sessions WHERE id = old.session_id;
END
"""

# A cascade deletes children after their parent; the DELETED trigger could then not find the user.
SESSION_DELETED = """
CREATE TRIGGER utterance_search_session_deleted BEFORE DELETE ON sessions BEGIN
    DELETE FROM utterances WHERE session_id = old.id;
END
"""

SESSION_MOVED = """
CREATE TRIGGER utterance_search_session_moved AFTER UPDATE OF user_id ON sessions
WHEN old.user_id IS NOT new.user_id
BEGIN
    INSERT INTO utterance_search(utterance_search, rowid, text, owner)
    SELECT 'delete', number, text, substr(old.user_id, 5)
    FROM utterances WHERE session_id = new.id AND is_final;
    INSERT INTO utterance_search(rowid, text, owner)
    SELECT number, text, substr(new.user_id, 5)
    FROM utterances WHERE session_id = new.id AND is_final;
END
"""

FILL = "INSERT INTO utterance_search(utterance_search) VALUES ('rebuild')"

UNDO = """
DROP TRIGGER utterance_search_session_moved;
DROP TRIGGER utterance_search_session_deleted;
DROP TRIGGER utterance_search_deleted;
DROP TRIGGER utterance_search_updated;
DROP TRIGGER utterance_search_inserted;
DROP TABLE utterance_search;
DROP VIEW utterance_search_content;
"""


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]
    # Tortoise's own transaction would split the triggers; the whole run is one transaction.
    atomic = False

    operations = [
        Only(
            "sqlite",
            ops.RunSQL(
                [VIEW, INDEX, INSERTED, UPDATED, DELETED, SESSION_DELETED, SESSION_MOVED, FILL],
                reverse_sql=UNDO,
            ),
        )
    ]
