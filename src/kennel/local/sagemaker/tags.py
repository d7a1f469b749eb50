"""Tags of any resource: AddTags, ListTags, DeleteTags."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kennel.local.database import Database
from kennel.local.resources import Resources
from kennel.local.sagemaker.names import KINDS, Kind, invalid

MAX_TAGS = 50
DEFAULT_MAX_RESULTS = 50
SCHEMA = """
CREATE TABLE IF NOT EXISTS tags (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name, key)
) WITHOUT ROWID
"""

Tag = Mapping[str, str]


class Tags:
    """The tags of every resource."""

    def __init__(self, database: Database, resources: Resources) -> None:
        self.database = database
        self.resources = resources
        database.create(SCHEMA)

    def put(self, kind: Kind, name: str, tags: Iterable[Tag]) -> None:
        """
        Add tags to a resource; a key that it has gets the new value.

        Raises:
            ApiError: ``ValidationException``, when there would be more than AWS allows, or a key
                comes twice.
        """
        tags = list(tags)
        for key, count in Counter(tag["Key"] for tag in tags).items():
            if count > 1:
                raise invalid(f"Duplicate tag key {key!r}: {count} times.")
        insert = "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)"
        rows = [(kind.path, name, tag["Key"], tag["Value"]) for tag in tags]
        with self.database.transaction() as connection:
            connection.executemany(insert, rows)
            if len(self.of(kind, name)) > MAX_TAGS:
                raise invalid(f"A resource can have at most {MAX_TAGS} tags.")

    def of(self, kind: Kind, name: str) -> list[dict[str, str]]:
        """Return the tags of a resource, by key."""
        select = "SELECT key, value FROM tags WHERE kind = ? AND name = ? ORDER BY key"
        with self.database.reading() as connection:
            rows = connection.execute(select, (kind.path, name)).fetchall()
        return [{"Key": row["key"], "Value": row["value"]} for row in rows]

    def forget(self, kind: Kind, name: str) -> None:
        """Remove every tag of a resource that is being deleted."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM tags WHERE kind = ? AND name = ?", (kind.path, name))

    def add_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer AddTags."""
        kind, name = self._target(params["ResourceArn"])
        self.put(kind, name, params["Tags"])
        return {"Tags": params["Tags"]}

    def list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer ListTags; a token is the last key shown."""
        kind, name = self._target(params["ResourceArn"])
        rest = [tag for tag in self.of(kind, name) if tag["Key"] > params.get("NextToken", "")]
        shown = rest[: params.get("MaxResults", DEFAULT_MAX_RESULTS)]
        more = len(rest) > len(shown)
        return {"Tags": shown, "NextToken": shown[-1]["Key"] if more else None}

    def delete_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer DeleteTags; a key that is not there is no error."""
        kind, name = self._target(params["ResourceArn"])
        delete = "DELETE FROM tags WHERE kind = ? AND name = ? AND key = ?"
        with self.database.transaction() as connection:
            connection.executemany(delete, [(kind.path, name, key) for key in params["TagKeys"]])
        return {}

    def _target(self, arn: str) -> tuple[Kind, str]:
        """Return the resource that *arn* names."""
        path, _, name = arn.rpartition(":")[2].partition("/")
        kind = KINDS.get(path)
        if kind is None or self.resources.find(kind.path, name) is None:
            raise invalid(f"Could not find a resource with the ARN {arn!r}.")
        return kind, name
