"""What a job left, unpacked: whole, and never outside of its folder."""

import io
import tarfile

import boto3
import pytest
from moto import mock_aws

from kennel.errors import JobError
from kennel.jobs import storage
from kennel.jobs.storage import Location

ARCHIVE = Location("bucket", "output.tar.gz")


def file(name, text="text"):
    info = tarfile.TarInfo(name)
    info.size = len(text)
    return info, io.BytesIO(text.encode())


def entry(name, kind, to=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, None


@pytest.fixture
def unpack(tmp_path, monkeypatch):
    """Unpack an archive of these members from S3 into ``to``."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")

    def unpack(*members):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for member in members:
                tar.addfile(*member)
        with mock_aws():
            s3 = boto3.client("s3", region_name="us-east-1")
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key=ARCHIVE.key, Body=packed.getvalue())
            return storage.unpack(s3, ARCHIVE, tmp_path / "to")

    return unpack


def test_files_and_links_among_them_arrive(unpack, tmp_path):
    """
    In the archive's order; a file that was there before is replaced, not written through.
    """
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "metrics.json").symlink_to(tmp_path / "elsewhere")
    found = unpack(
        entry("charts", tarfile.DIRTYPE),
        file("./charts/loss.png", "loss"),
        file("metrics.json", "{}"),
        entry("latest.png", tarfile.SYMTYPE, "charts/loss.png"),
    )

    names = ["charts/loss.png", "metrics.json", "latest.png"]
    assert found == [tmp_path / "to" / name for name in names]
    assert [path.read_text() for path in found] == ["loss", "{}", "loss"]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(file("../outside"), id="above"),
        pytest.param(file("/outside"), id="absolute"),
        pytest.param(file("charts/../../outside"), id="around"),
        pytest.param(entry("outside", tarfile.SYMTYPE, "/etc/passwd"), id="link"),
        pytest.param(entry("outside", tarfile.SYMTYPE, "here/../.."), id="through-a-link"),
        pytest.param(entry("outside", tarfile.LNKTYPE, "../outside"), id="hard-link"),
        pytest.param(entry("outside", tarfile.CHRTYPE), id="device"),
    ],
)
def test_nothing_is_written_or_read_outside(unpack, tmp_path, member):
    """
    It is refused by its name, and what came before it is there.
    """
    with pytest.raises(JobError, match="outside"):
        unpack(file("metrics.json"), entry("here", tarfile.SYMTYPE, "."), member)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["here", "metrics.json", "to"]
