"""One SQLite database for every service, from any thread."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from kennel.local.database import Database


@pytest.fixture
def database(tmp_path):
    """An empty database with a table."""
    database = Database(tmp_path / "folder" / "kennel.db")
    database.create("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY); CREATE INDEX i ON t (n)")
    yield database
    database.close()


def rows(database):
    with database.reading() as connection:
        return [row["n"] for row in connection.execute("SELECT n FROM t ORDER BY n")]


def test_a_transaction_is_all_or_nothing(database):
    """
    An exception takes everything back, that of an inner transaction's too.
    """
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:  # noqa: PT012
        connection.execute("INSERT INTO t VALUES (1)")
        with database.transaction() as inner:
            inner.execute("INSERT INTO t VALUES (2)")
        _ = 1 / 0

    assert rows(database) == []


def test_a_transaction_reads_what_it_wrote(database):
    """
    Reading inside a transaction is on the same connection.
    """
    with database.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        assert rows(database) == [1]


def test_threads_take_turns_and_lose_nothing(database):
    """
    Writers wait for one another.
    """

    def add_one(_):
        with database.transaction() as connection:
            (n,) = connection.execute("SELECT COUNT(*) FROM t").fetchone()
            connection.execute("INSERT INTO t VALUES (?)", (n,))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_one, range(100)))

    assert rows(database) == list(range(100))


def test_a_failed_transaction_leaves_the_connection_usable(database):
    """
    After an error the next transaction begins afresh.
    """
    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
            connection.execute("INSERT INTO t VALUES (1), (1)")
    with database.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (3)")

    assert rows(database) == [3]


def test_everything_is_there_when_it_is_opened_again(database):
    """
    A second database over the file, while the first is open, sees what was committed.
    """
    with database.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (7)")
    again = Database(database.path)

    assert rows(again) == [7]
    again.close()
