"""Pages of a bucket's listing, with keys rolled up to common prefixes; XML is documents' affair."""

import base64
import binascii
import sqlite3
from dataclasses import dataclass, field

from kennel.local.s3 import index
from kennel.local.s3.index import Stored
from kennel.local.s3.keys import next_key, upper_bound
from kennel.local.wire.errors import ApiError


@dataclass
class Page:
    """
    One page.

    Args:
        start: Where the next page starts; None on the last one.
        last: The last key or prefix on this one.
    """

    objects: list[Stored] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    start: str | None = None
    last: str = ""

    def __len__(self) -> int:
        """Return how many entries count towards max-keys."""
        return len(self.objects) + len(self.prefixes)


@dataclass(frozen=True)
class Listing:
    """What to list: keys under *prefix*, rolled up behind *delimiter* unless that is empty."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    limit: int = 1000

    def page(self, connection: sqlite3.Connection, start: str) -> Page:
        """Return the page of the keys that are not below *start*."""
        page = Page()
        while True:
            wanted = self.limit - len(page) + 1
            batch = index.page(connection, self.bucket, self.prefix, start, wanted)
            for stored in batch:
                if stored.key < start:  # below a prefix that is on the page already
                    continue
                if len(page) >= self.limit:
                    page.start = start if self.limit else None
                    return page
                start = self._add(page, stored)
            if len(batch) < wanted:
                return page

    def start_after(self, marker: str) -> str:
        """Return where to start, to go on after the key or common prefix *marker*."""
        rolled_up = marker and self.common_prefix(marker) == marker
        return upper_bound(marker) or HIGHEST_KEY if rolled_up else next_key(marker)

    def common_prefix(self, key: str) -> str | None:
        """Return what *key* is rolled up to, if anything."""
        if not self.delimiter:
            return None
        end = key.find(self.delimiter, len(self.prefix))
        return None if end < 0 else key[: end + len(self.delimiter)]

    def _add(self, page: Page, stored: Stored) -> str:
        prefix = self.common_prefix(stored.key)
        if prefix is None:
            page.objects.append(stored)
            page.last = stored.key
            return next_key(stored.key)
        page.prefixes.append(prefix)
        page.last = prefix
        return upper_bound(prefix) or HIGHEST_KEY


HIGHEST_KEY = "\U0010ffff" * 256


def token(start: str) -> str:
    """Write where a page starts as a continuation token."""
    return base64.urlsafe_b64encode(start.encode()).decode()


def parse_token(text: str) -> str:
    """
    Read a continuation token.

    Raises:
        ApiError: ``InvalidArgument``.
    """
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        message = "The continuation token provided is incorrect"
        raise ApiError("InvalidArgument", message) from error
