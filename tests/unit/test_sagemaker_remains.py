"""What a container leaves can be read, stored and removed by whoever owns it."""

import os
import shutil

import pytest

from kennel.local.sagemaker.training import remains


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "ml"
    (root / "model/folder").mkdir(parents=True)
    (root / "model/weights").write_text("weights")
    return root


@pytest.fixture
def owner(monkeypatch, root):
    """Be an ordinary user as far as unlock can see; the tests may be root's."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    yield
    shutil.rmtree(root)


@pytest.mark.usefixtures("owner")
def test_the_owner_can_read_and_remove_what_was_locked(root):
    """
    Files and folders alike, as deep as they are; what lacks nothing stays as it is.
    """
    (root / "model/folder/deep").touch(0o444)
    for path in ("model/weights", "model/folder", "model"):
        (root / path).chmod(0)
    remains.unlock(root)

    modes = {path.name: path.stat().st_mode & 0o777 for path in remains.entries(root)}
    assert modes["model"] == modes["folder"] == 0o700
    assert modes["weights"] == 0o400
    assert modes["deep"] == 0o444


@pytest.mark.usefixtures("owner")
def test_what_a_link_leads_to_is_not_unlocked(root, tmp_path):
    """
    It may be anybody's.
    """
    (tmp_path / "elsewhere").touch(0)
    (root / "model/link").symlink_to(tmp_path / "elsewhere")
    remains.unlock(root)

    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("/opt/ml/model/weights", "weights", id="absolute"),
        pytest.param("weights", "weights", id="relative"),
        pytest.param("../../../opt/ml/model/weights", "weights", id="through-the-root"),
        pytest.param("/opt/ml/model/nowhere", "nowhere", id="dangling"),
        pytest.param("/etc/hostname", None, id="out"),
        pytest.param("../../../../../../../etc/hostname", None, id="up-and-out"),
        pytest.param("/opt/ml/../../etc/hostname", None, id="through-and-out"),
    ],
)
def test_a_link_leads_where_it_did(root, target, expected):
    """
    Or is gone, where that is nothing of this machine's; a second time changes nothing.
    """
    link = root / "model/link"
    link.symlink_to(target)
    remains.settle_links(root)
    remains.settle_links(root)

    assert (str(link.readlink()) if link.is_symlink() else None) == expected
