"""The size of a state folder is what deleting it would free."""

from kennel.local import disk

MEGABYTE = 1_000_000


def test_a_file_counts_once_and_what_links_lead_to_does_not(tmp_path):
    """
    Objects are hard-linked into the folders of jobs, and channels are links.
    """
    elsewhere, state = tmp_path / "elsewhere", tmp_path / "state"
    for folder in (elsewhere, state / "objects"):
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(bytes(range(250)) * 4000)
    (state / "again").hardlink_to(state / "objects" / "a")
    (state / "link").symlink_to(elsewhere)

    assert MEGABYTE <= disk.occupied(state) < 1.1 * MEGABYTE


def test_a_folder_that_is_not_there_takes_nothing(tmp_path):
    """
    As before the first start.
    """
    assert disk.occupied(tmp_path / "state") == 0
