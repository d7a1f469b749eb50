"""Artifacts are packed whole and unpacked without leading anywhere else."""

import io
import tarfile

import pytest

from kennel.errors import ArtifactError
from kennel.local.sagemaker import archive


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "weights.pt").write_bytes(b"weights")
    (folder / "code" / "run.sh").write_text("#!/bin/sh")
    (folder / "code" / "run.sh").chmod(0o700)
    return folder


@pytest.fixture
def packed(tmp_path):
    def pack(*members):
        path = tmp_path / "evil.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for info in members:
                tar.addfile(info, io.BytesIO(b"x" * info.size))
        return path

    return pack


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


def test_what_is_packed_is_unpacked(folder, tmp_path):
    """
    Files and folders come back with their bytes, and what can be run still can.
    """
    archive.pack([folder], tmp_path / "model.tar.gz")
    archive.unpack(tmp_path / "model.tar.gz", tmp_path / "again")

    assert (tmp_path / "again" / "weights.pt").read_bytes() == b"weights"
    assert (tmp_path / "again" / "code" / "run.sh").stat().st_mode & 0o777 == 0o555


def test_owners_and_permissions_are_a_containers(folder, tmp_path):
    """
    Whoever packed it, the archive belongs to root and can be read by all.
    """
    archive.pack([folder], tmp_path / "model.tar.gz")

    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        found = {m.name: (m.uid, m.gid, m.uname, oct(m.mode)) for m in tar}
    assert found == {
        "code": (0, 0, "root", "0o755"),
        "code/run.sh": (0, 0, "root", "0o755"),
        "weights.pt": (0, 0, "root", "0o644"),
    }


def test_links_inside_stay_links_and_links_outside_become_files(folder, tmp_path):
    """
    An absolute link within the folder would break elsewhere, so it is packed relative.
    """
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "best").symlink_to(folder / "weights.pt")
    (folder / "copied.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "dangling").symlink_to(tmp_path / "nowhere")

    archive.pack([folder], tmp_path / "model.tar.gz")
    archive.unpack(tmp_path / "model.tar.gz", tmp_path / "again")

    again = tmp_path / "again"
    assert (again / "best").readlink().name == "weights.pt"
    assert (again / "best").read_bytes() == b"weights"
    assert (again / "copied.txt").read_text() == "outside"
    assert not (again / "copied.txt").is_symlink()
    assert not (again / "dangling").is_symlink()


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("../evil")], id="parent"),
        pytest.param([member("/etc/kennel-evil")], id="absolute"),
        pytest.param([member("link", tarfile.SYMTYPE, "../..")], id="link-outside"),
        pytest.param([member("link", tarfile.SYMTYPE, "/etc")], id="absolute-link"),
        pytest.param([member("pipe", tarfile.FIFOTYPE)], id="pipe"),
        pytest.param([member("null", tarfile.CHRTYPE)], id="device"),
        pytest.param(
            [
                member("a", tarfile.SYMTYPE, "x/y/b/../.."),
                member("x/y/b", tarfile.SYMTYPE, "../.."),
                member("a/evil"),
            ],
            id="link-through-a-link",
        ),
        pytest.param(
            [member("l", tarfile.SYMTYPE, "x/../secret"), member("x", tarfile.SYMTYPE, ".")],
            id="link-through-a-later-link",
        ),
    ],
)
def test_an_archive_that_leads_outside_is_refused(packed, tmp_path, members):
    """
    Nothing is written outside, and nothing half unpacked is left.
    """
    before = set(tmp_path.iterdir())
    path = packed(*members)

    with pytest.raises(ArtifactError, match="leads outside"):
        archive.unpack(path, tmp_path / "again")
    assert set(tmp_path.iterdir()) == before | {path}


def test_a_torn_archive_is_refused(folder, tmp_path):
    """
    Half an archive is an error that says what was expected, not half a model.
    """
    path = tmp_path / "model.tar.gz"
    archive.pack([folder], path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        archive.unpack(path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_of_two_members_with_a_name_the_last_counts(tmp_path):
    """
    As ``tar -r`` means it, which adds a newer file to an archive.
    """
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for content in (b"old", b"newer"):
            info = tarfile.TarInfo("weights.pt")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    archive.unpack(path, tmp_path / "again")
    assert (tmp_path / "again" / "weights.pt").read_bytes() == b"newer"


def test_a_link_to_a_member_that_is_not_there_is_refused(packed, tmp_path):
    """
    Both are named, and nothing half unpacked is left.
    """
    path = packed(member("a"), member("b", tarfile.LNKTYPE, "absent"))

    with pytest.raises(ArtifactError, match="'b' in the archive is a link to 'absent'"):
        archive.unpack(path, tmp_path / "again")
    assert set(tmp_path.iterdir()) == {path}


def test_links_that_go_round_in_circles_are_kept(packed, tmp_path):
    """
    They lead nowhere, so nowhere outside.
    """
    archive.unpack(
        packed(member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "a")),
        tmp_path / "again",
    )

    assert (tmp_path / "again" / "a").is_symlink()


def test_an_empty_folder_is_empty(folder, tmp_path):
    """
    A model folder counts as empty until there is something in it.
    """
    (tmp_path / "none").mkdir()

    assert archive.is_empty(tmp_path / "none")
    assert not archive.is_empty(folder)


def test_what_several_folders_hold_is_packed_as_one(folder, tmp_path):
    """
    Of what has the same name the first folder's is taken, also where the other has a folder.
    """
    other = tmp_path / "other"
    (other / "code").mkdir(parents=True)
    (other / "code" / "more.py").write_text("more")
    (other / "weights.pt").mkdir()
    (other / "weights.pt" / "inside").write_text("lost")
    (other / "own").write_text("own")
    (other / "link").symlink_to(other / "own")
    archive.pack([folder, other], tmp_path / "model.tar.gz")

    archive.unpack(tmp_path / "model.tar.gz", tmp_path / "again")

    again = tmp_path / "again"
    assert (again / "weights.pt").read_bytes() == b"weights"
    assert sorted(path.name for path in (again / "code").iterdir()) == ["more.py", "run.sh"]
    assert (again / "link").resolve().read_text() == "own"
