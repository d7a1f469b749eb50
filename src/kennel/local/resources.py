"""
What the server remembers: a row for each resource, a JSON document in each row.

A document is what Describe answers, with one member more, LOCAL, that no output shape has and that
therefore never leaves the server. Every change is one transaction, made before anything is done
about it, so that a server killed at any moment finds in here what was going on.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kennel.local.database import Database

Document = dict[str, Any]

LOCAL = "Local"  # the member for what is the server's own business
MOMENT = "$datetime"

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""


class Resources:
    """The documents of every kind, by name; a name is unique within its kind."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.create(SCHEMA)

    def add(self, kind: str, name: str, document: Document) -> bool:
        """Store a new document; return False, and store nothing, when the name is taken."""
        insert = "INSERT OR IGNORE INTO resources VALUES (?, ?, ?)"
        with self.database.transaction() as connection:
            return connection.execute(insert, (kind, name, dump(document))).rowcount == 1

    def find(self, kind: str, name: str) -> Document | None:
        """Return a document, or None."""
        select = "SELECT document FROM resources WHERE kind = ? AND name = ?"
        with self.database.reading() as connection:
            row = connection.execute(select, (kind, name)).fetchone()
        return load(row["document"]) if row else None

    def all(self, kind: str) -> list[Document]:
        """Return every document of a kind, by name."""
        select = "SELECT document FROM resources WHERE kind = ? ORDER BY name"
        with self.database.reading() as connection:
            return [load(row["document"]) for row in connection.execute(select, (kind,))]

    def change(
        self, kind: str, name: str, change: Callable[[Document], Document]
    ) -> Document | None:
        """
        Replace a document by what *change* makes of it, with nobody in between.

        Returns:
            The new document, or None when there is none. What *change* raises leaves it as it was.
        """
        update = "UPDATE resources SET document = ? WHERE kind = ? AND name = ?"
        with self.database.transaction() as connection:
            document = self.find(kind, name)
            if document is None:
                return None
            changed = change(document)
            connection.execute(update, (dump(changed), kind, name))
        return changed

    def remove(self, kind: str, name: str) -> bool:
        """Forget a document; return whether there was one."""
        delete = "DELETE FROM resources WHERE kind = ? AND name = ?"
        with self.database.transaction() as connection:
            return connection.execute(delete, (kind, name)).rowcount == 1


def dump(document: Document) -> str:
    """Write a document, datetimes included."""
    return json.dumps(document, default=lambda moment: {MOMENT: moment.timestamp()})


def load(text: str) -> Document:
    """Read what dump wrote."""
    document: Document = json.loads(text, object_hook=moment)
    return document


def moment(value: Document) -> Document | datetime:
    """Return the datetime that *value* stands for, or *value* itself."""
    return datetime.fromtimestamp(value[MOMENT], UTC) if value.keys() == {MOMENT} else value
