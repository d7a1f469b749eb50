"""S3 by boto3: on the local server, and on moto as an oracle."""

import io
import uuid
from datetime import timedelta

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

PART = 5 * 2**20
COPIED_RANGES = ["bytes=0-10", "bytes=5-4", "bytes=3-", "bytes=-3", "3-4"]  # of ten bytes
MOTO_DIFFERS = {
    "test_many_are_deleted_at_once[moto]": "AWS names keys that were not there as deleted, too",
    "test_a_bad_bucket_name_is_refused[moto-Upper]": "AWS allows small letters only",
    "test_a_bad_bucket_name_is_refused[moto-a_b]": "AWS allows no underscores",
    **{
        f"test_a_delimiter_rolls_keys_up[moto-{size}-list_objects]": "AWS counts common prefixes"
        for size in (1, 2, 3)
    },
    "test_a_deletion_may_insist_on_what_it_deletes[moto]": "AWS has conditional deletes",
    "test_each_of_many_may_insist_on_what_it_deletes[moto]": "AWS has conditional deletes",
    **{
        f"test_a_part_is_copied_from_bytes_that_are_there[moto-{copied}]": "AWS refuses the range"
        for copied in COPIED_RANGES
    },
    "test_a_completion_must_name_good_parts[moto]": "AWS refuses parts out of order",
    "test_a_wrong_md5_is_refused[moto]": "AWS compares Content-MD5",
}


@pytest.fixture
def s3(api):
    """A client."""
    return api("s3")


@pytest.fixture
def bucket(s3):
    """A new bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def put(s3, bucket, *keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def read(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# Objects


def test_an_object_comes_back_with_what_its_writer_said(s3, bucket):
    """
    Bytes, metadata, type and the other headers; the ETag is the MD5.
    """
    said = {
        "ContentType": "image/jpeg",
        "CacheControl": "no-store",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "identity",
        "ContentLanguage": "de",
        "Metadata": {"breed": "dachshund", "legs": "4"},
    }
    put_answer = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", **said)

    got = s3.get_object(Bucket=bucket, Key="k")
    head = s3.head_object(Bucket=bucket, Key="k")

    assert got["Body"].read() == b"hello"
    assert put_answer["ETag"] == got["ETag"] == head["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    for answer in (got, head):
        assert {name: answer[name] for name in said} == said
        assert (answer["ContentLength"], answer["AcceptRanges"]) == (5, "bytes")


def test_a_type_nobody_named_is_binary(s3, bucket):
    """
    S3's default.
    """
    put(s3, bucket, "k")

    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize("size", [0, 1, 65536, 2**20, 3 * 2**20 + 7])
def test_objects_of_any_size(s3, bucket, size):
    """
    Empty, around the size of a block, several blocks.
    """
    body = bytes(i % 251 for i in range(size))
    s3.put_object(Bucket=bucket, Key="k", Body=body)

    assert read(s3, bucket, "k") == body


@pytest.mark.parametrize(
    "key",
    [
        *("a b", "a+b", "a%2Fb", "ü/ß", "日本", "a&b=c?d#e", "a//b", "folder/", "'\"<>"),
        *("x" * 300, "a/" + "y" * 256, "...", "~tilde", "a\tb", "*"),
    ],
)
def test_keys_are_any_text(s3, bucket, key):
    """
    They are written, read and listed as they are.
    """
    put(s3, bucket, key)

    assert read(s3, bucket, key) == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_writing_again_replaces(s3, bucket):
    """
    The last one wins, with its own metadata.
    """
    s3.put_object(Bucket=bucket, Key="k", Body=b"old", Metadata={"a": "1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"new!")

    assert read(s3, bucket, "k") == b"new!"
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {}


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ],
)
def test_a_range_is_a_part(s3, bucket, asked, expected, content_range):
    """
    206, with where it lies in the whole.
    """
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")

    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)

    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["Body"].read(), got["ContentRange"]) == (expected, content_range)
    assert got["ContentLength"] == len(expected)


def test_a_range_beyond_the_end_is_416(s3, bucket):
    """
    InvalidRange.
    """
    put(s3, bucket, "k")

    answer = refused(s3.get_object, Bucket=bucket, Key="k", Range="bytes=5-")

    assert answer == ("InvalidRange", 416)


def test_what_is_not_there(s3, bucket):
    """
    NoSuchKey, NoSuchBucket; HEAD says 404 only.
    """
    missing = f"{bucket}-not"

    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("404", 404)
    assert refused(s3.get_object, Bucket=missing, Key="k") == ("NoSuchBucket", 404)
    assert refused(s3.put_object, Bucket=missing, Key="k", Body=b"") == ("NoSuchBucket", 404)
    assert refused(s3.list_objects_v2, Bucket=missing) == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket=missing) == ("404", 404)


def test_conditions_of_reading(s3, bucket):
    """
    304 for what the client has, 412 for what it did not expect.
    """
    put(s3, bucket, "k")
    head = s3.head_object(Bucket=bucket, Key="k")
    etag, modified = head["ETag"], head["LastModified"]

    assert read(s3, bucket, "k", IfMatch=etag) == b"k"
    assert refused(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert refused(s3.head_object, Bucket=bucket, Key="k", IfModifiedSince=modified)[1] == 304
    answer = refused(s3.get_object, Bucket=bucket, Key="k", IfMatch='"other"')
    assert answer == ("PreconditionFailed", 412)


def test_a_write_may_insist_on_being_the_first(s3, bucket):
    """
    If-None-Match: * fails where something is.
    """
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")

    answer = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"second", IfNoneMatch="*")

    assert answer == ("PreconditionFailed", 412)
    assert read(s3, bucket, "k") == b"first"


def test_deleting_is_idempotent(s3, bucket):
    """
    What is not there is as good as deleted.
    """
    put(s3, bucket, "k")
    for _ in range(2):
        answer = s3.delete_object(Bucket=bucket, Key="k")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204

    assert refused(s3.head_object, Bucket=bucket, Key="k")[1] == 404


def test_many_are_deleted_at_once(s3, bucket):
    """
    The answer names them, unless it is to be quiet.
    """
    put(s3, bucket, "a&b", "c", "d")

    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ("a&b", "c", "none")]}
    )
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "d"}], "Quiet": True})

    assert sorted(o["Key"] for o in answer["Deleted"]) == ["a&b", "c", "none"]
    assert "Deleted" not in quiet
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_deletion_may_insist_on_what_it_deletes(s3, bucket):
    """
    Of another ETag, time or size the object stays.
    """
    put(s3, bucket, "k")
    head, key = s3.head_object(Bucket=bucket, Key="k"), {"Bucket": bucket, "Key": "k"}
    modified = head["LastModified"]

    for other in (
        {"IfMatch": '"other"'},
        {"IfMatchLastModifiedTime": modified - timedelta(seconds=1)},
        {"IfMatchSize": 2},
    ):
        assert refused(s3.delete_object, **key, **other) == ("PreconditionFailed", 412)
    assert read(s3, bucket, "k") == b"k"

    same = {"IfMatch": head["ETag"], "IfMatchLastModifiedTime": modified, "IfMatchSize": 1}
    s3.delete_object(**key, **same)
    assert refused(s3.delete_object, **key, IfMatch="*") == ("NoSuchKey", 404)


def test_each_of_many_may_insist_on_what_it_deletes(s3, bucket):
    """
    What is otherwise stays and is named with the reason, even to who wants it quiet.
    """
    put(s3, bucket, "a", "b", "c", "d", "e", "f")
    head = s3.head_object(Bucket=bucket, Key="a")
    etag, modified = head["ETag"], head["LastModified"]
    entries = [
        {"Key": "a", "ETag": etag, "LastModifiedTime": modified, "Size": 1, "VersionId": "null"},
        {"Key": "b", "ETag": '"other"'},
        {"Key": "c", "LastModifiedTime": modified - timedelta(seconds=1)},
        {"Key": "d", "Size": 2},
        {"Key": "e", "VersionId": "other"},
        {"Key": "f"},
    ]

    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": entries, "Quiet": True})

    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
        *(("b", "PreconditionFailed"), ("c", "PreconditionFailed"), ("d", "PreconditionFailed")),
        ("e", "NoSuchVersion"),
    ]
    left = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [found["Key"] for found in left] == ["b", "c", "d", "e"]


def test_a_copy_has_the_bytes_and_the_metadata(s3, bucket):
    """
    From one key to another, odd ones too; REPLACE brings metadata of its own.
    """
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"x", ContentType="a/b", Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "a b/ü"}

    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="other",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"n": "2"},
        ContentType="c/d",
    )

    copy, other = (s3.get_object(Bucket=bucket, Key=key) for key in ("copy", "other"))
    assert copied["CopyObjectResult"]["ETag"] == copy["ETag"]
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"]) == (b"x", "a/b", {"m": "1"})
    assert (other["Body"].read(), other["ContentType"], other["Metadata"]) == (
        *(b"x", "c/d"),
        {"n": "2"},
    )


def test_a_copy_is_independent_of_its_source(s3, bucket):
    """
    Replacing or deleting the source leaves the copy.
    """
    put(s3, bucket, "k")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    s3.delete_object(Bucket=bucket, Key="k")

    assert read(s3, bucket, "copy") == b"k"


def test_a_copy_onto_itself_must_change_something(s3, bucket):
    """
    InvalidRequest otherwise; a copy of nothing is NoSuchKey.
    """
    put(s3, bucket, "k")
    copy = {"Bucket": bucket, "Key": "k"}

    answer = refused(s3.copy_object, **copy, CopySource=f"{bucket}/k")
    s3.copy_object(
        **copy, CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"a": "b"}
    )

    assert answer == ("InvalidRequest", 400)
    assert s3.head_object(**copy)["Metadata"] == {"a": "b"}
    assert refused(s3.copy_object, **copy, CopySource=f"{bucket}/none") == ("NoSuchKey", 404)


def test_tags(s3, bucket):
    """
    With the object or afterwards.
    """
    tag = {"Key": "split", "Value": "train + valid"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="split=train%20%2B%20valid")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [tag]

    tag["Value"] = "test"
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [tag]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [tag]
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 1

    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


# Buckets


def test_buckets(s3, bucket):
    """
    They are listed, know their region, and go when they are empty.
    """
    put(s3, bucket, "k")

    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.head_bucket, Bucket=bucket)[1] == 404


def test_a_bucket_takes_its_uploads_with_it(s3, bucket):
    """
    Made again under the same name, it knows nothing of them.
    """
    key = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    s3.upload_part(**key, UploadId=upload, PartNumber=1, Body=b"part")

    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)

    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refused(s3.list_parts, **key, UploadId=upload) == ("NoSuchUpload", 404)


def test_a_bucket_in_another_region_names_it(api):
    """
    As on AWS, where forgetting it is an error; having it already is one too.
    """
    s3, name = api("s3", "eu-west-1"), f"bucket-{uuid.uuid4().hex[:12]}"
    there = {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}

    code, _ = refused(s3.create_bucket, Bucket=name)
    s3.create_bucket(**there)

    assert code == "IllegalLocationConstraintException"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    assert refused(s3.create_bucket, **there) == ("BucketAlreadyOwnedByYou", 409)
    s3.delete_bucket(Bucket=name)


def test_in_us_east_1_a_bucket_may_be_made_again(s3, bucket):
    """
    AWS's one exception: 200, and the objects stay.
    """
    put(s3, bucket, "k")

    s3.create_bucket(Bucket=bucket)

    assert read(s3, bucket, "k") == b"k"


@pytest.mark.parametrize("name", ["Upper", "a_b", "ab"])
def test_a_bad_bucket_name_is_refused(s3, name):
    """
    InvalidBucketName.
    """
    assert refused(s3.create_bucket, Bucket=name) == ("InvalidBucketName", 400)


# Listing

KEYS = ["a.txt", "a/1", "a/2", "a/b/3", "b c/ü", "z&z"]


def test_a_listing_is_in_order_and_complete(s3, bucket):
    """
    With size, time and ETag; keys come decoded.
    """
    put(s3, bucket, *reversed(KEYS))

    listed = s3.list_objects_v2(Bucket=bucket)

    assert [o["Key"] for o in listed["Contents"]] == KEYS
    assert [o["Size"] for o in listed["Contents"]] == [len(key.encode()) for key in KEYS]
    assert (listed["KeyCount"], listed["IsTruncated"], listed["MaxKeys"]) == (6, False, 1000)
    assert listed["Contents"][0]["ETag"] == s3.head_object(Bucket=bucket, Key="a.txt")["ETag"]


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_delimiter_rolls_keys_up(s3, bucket, operation, size):
    """
    In pages of any size, each common prefix comes once.
    """
    put(s3, bucket, *KEYS)
    pages = s3.get_paginator(operation).paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
    )

    entries = []
    for page in pages:
        found = [o["Key"] for o in page.get("Contents", [])]
        found += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert len(found) <= size
        entries += found

    assert sorted(entries) == ["a.txt", "a/", "b c/", "z&z"]


def test_a_prefix_and_a_start(s3, bucket):
    """
    Below a prefix, after a key.
    """
    put(s3, bucket, *KEYS)

    below = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/")
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="a/2", FetchOwner=True)

    assert [o["Key"] for o in below["Contents"]] == ["a/1", "a/2"]
    assert [p["Prefix"] for p in below["CommonPrefixes"]] == ["a/b/"]
    assert [o["Key"] for o in after["Contents"]] == KEYS[3:]
    assert after["Contents"][0]["Owner"]["ID"]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="none")["KeyCount"] == 0


# Multipart


def test_a_large_file_is_uploaded_in_parts(s3, bucket, tmp_path):
    """
    By boto3's transfer manager; its download gives the same bytes.
    """
    body = bytes(range(256)) * (2 * PART // 256) + b"the end"
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)

    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=parts, ExtraArgs={"ContentType": "a/b"})
    s3.download_file(bucket, "k", str(tmp_path / "k"), Config=parts)

    head = s3.head_object(Bucket=bucket, Key="k")
    assert (tmp_path / "k").read_bytes() == body
    assert (head["ContentLength"], head["ContentType"]) == (len(body), "a/b")
    assert head["ETag"].endswith('-3"')
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_may_be_copied_and_listed(s3, bucket):
    """
    A range of another object is a part like any other.
    """
    s3.put_object(Bucket=bucket, Key="source", Body=b"ab" * PART)
    key = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    first = s3.upload_part_copy(
        **key,
        UploadId=upload,
        PartNumber=1,
        CopySource=f"{bucket}/source",
        CopySourceRange=f"bytes=1-{PART}",
    )["CopyPartResult"]["ETag"]
    second = s3.upload_part(**key, UploadId=upload, PartNumber=2, Body=b"end")["ETag"]

    listed = s3.list_parts(**key, UploadId=upload)["Parts"]
    uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})

    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed] == [
        *((1, PART, first), (2, 3, second)),
    ]
    assert [(u["Key"], u["UploadId"]) for u in uploads] == [("k", upload)]
    assert read(s3, bucket, "k") == b"ba" * (PART // 2) + b"end"


@pytest.mark.parametrize("copied", COPIED_RANGES)
def test_a_part_is_copied_from_bytes_that_are_there(s3, bucket, copied):
    """
    InvalidArgument otherwise: half a range would be a part of another length than asked for.
    """
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = {"PartNumber": 1, "CopySource": f"{bucket}/source", "CopySourceRange": copied}

    assert refused(s3.upload_part_copy, **upload, **part) == ("InvalidArgument", 400)


def test_a_completion_must_name_good_parts(s3, bucket):
    """
    EntityTooSmall, InvalidPart, InvalidPartOrder; the upload goes on.
    """
    key = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    bodies = (b"small", b"small", bytes(PART))
    etags = [
        s3.upload_part(**key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate(bodies, 1)
    ]

    def completing(*parts):
        named = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        upload_of = {**key, "UploadId": upload, "MultipartUpload": {"Parts": named}}
        return refused(s3.complete_multipart_upload, **upload_of)[0]

    assert completing((1, etags[0]), (2, etags[1])) == "EntityTooSmall"
    assert completing((4, etags[0])) == "InvalidPart"
    assert completing((1, '"0123456789abcdef0123456789abcdef"')) == "InvalidPart"
    assert completing((3, etags[2]), (1, etags[0])) == "InvalidPartOrder"
    s3.abort_multipart_upload(**key, UploadId=upload)
    assert refused(s3.list_parts, **key, UploadId=upload) == ("NoSuchUpload", 404)
    assert refused(s3.head_object, **key)[1] == 404


# Checksums


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_is_given_back(s3, bucket, algorithm):
    """
    The one that the writer chose, to whoever asks for checksums.
    """
    member = f"Checksum{algorithm}"
    put_answer = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)

    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")

    assert put_answer[member] == head[member]


def test_a_copy_keeps_the_checksum(s3, bucket):
    """
    Of the same bytes it is the same.
    """
    said = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")

    copied = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")

    assert copied["ChecksumSHA256"] == said["ChecksumSHA256"]


def test_a_wrong_md5_is_refused(s3, bucket):
    """
    BadDigest, and nothing is stored.
    """
    wrong = "AAAAAAAAAAAAAAAAAAAAAA=="

    code, _ = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"hello", ContentMD5=wrong)

    assert code == "BadDigest"
    assert refused(s3.head_object, Bucket=bucket, Key="k")[1] == 404
