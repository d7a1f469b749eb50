"""The local server on the wire: what boto3 does not show, or would not send."""

import base64
import gzip
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
import uuid
import zlib

import pytest
from botocore.exceptions import ClientError

SIGNED = {
    service: "AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/"
    f"{service}/aws4_request, SignedHeaders=host, Signature=0"
    for service in ("s3", "sagemaker", "logs", "sts")
}


@pytest.fixture
def bucket(aws):
    """A new bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    aws("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def request_(server):
    """Send a request as it is; returns (status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    def send(method, path, body=None, service="s3", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if service:
            headers["Authorization"] = SIGNED[service]
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    yield send
    connection.close()


def fetch(url, method="GET", body=None):
    request = urllib.request.Request(url, body, method=method)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# Bodies


@pytest.mark.parametrize("path", ["k", "k?partNumber=1&uploadId=none"])
def test_a_client_that_waits_for_continue_gets_it_at_once(server, bucket, path):
    """
    boto3 sends Expect: 100-continue with every put, and waits a second for the answer.
    """
    head = (
        f"PUT /{bucket}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        f"Expect: 100-continue\r\nAuthorization: {SIGNED['s3']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())  # and no byte of the body
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        answer = connection.recv(1024)

    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 404 "))


CRC = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", ""),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", ";chunk-signature=00"),
    ],
)
@pytest.mark.parametrize("crc", [CRC, "AAAAAA=="], ids=["right", "wrong"])
def test_chunked_bodies_are_unwrapped_and_their_trailer_checked(
    request_, bucket, payload, signature, crc
):
    """
    As clients stream: the object is what was in the chunks, if the checksum behind them agrees.
    """
    body = (
        f"5{signature}\r\nhello\r\n6{signature}\r\n world\r\n0{signature}\r\n"
        f"x-amz-checksum-crc32:{crc}\r\n\r\n"
    )
    status, _, answer = request_(
        "PUT",
        f"/{bucket}/k",
        body,
        x_amz_content_sha256=payload,
        content_encoding="aws-chunked,gzip",
        x_amz_decoded_content_length="11",
        x_amz_trailer="x-amz-checksum-crc32",
    )

    got, headers, content = request_("GET", f"/{bucket}/k")
    if crc == CRC:
        assert (status, got, content) == (200, 200, b"hello world")
        assert headers["Content-Encoding"] == "gzip"
    else:
        assert (status, got) == (400, 404)
        assert b"BadDigest" in answer


def test_a_body_shorter_than_announced_is_no_object(request_, bucket):
    """
    IncompleteBody.
    """
    status, _, answer = request_(
        "PUT",
        f"/{bucket}/k",
        "5\r\nhello\r\n0\r\n\r\n",
        x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        x_amz_decoded_content_length="6",
    )

    assert (status, b"IncompleteBody" in answer) == (400, True)
    assert request_("HEAD", f"/{bucket}/k")[0] == 404


def test_a_client_that_goes_away_leaves_nothing(server, state, bucket, aws):
    """
    Neither a torn object nor its file.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            f"PUT /{bucket}/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
            f"Authorization: {SIGNED['s3']}\r\n\r\n".encode()
        )
        connection.sendall(bytes(5_000_000))
        incoming = state / "s3" / ".incoming"
        deadline = time.monotonic() + 10
        while not list(incoming.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(incoming.iterdir())
    while list(incoming.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert list(incoming.iterdir()) == []
    assert "Contents" not in aws("s3").list_objects_v2(Bucket=bucket)


def test_a_bucket_that_is_deleted_leaves_no_parts(state, bucket, aws):
    """
    The files of unfinished uploads go with it.
    """
    s3, key = aws("s3"), {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**key)["UploadId"]
    s3.upload_part(**key, UploadId=upload, PartNumber=1, Body=b"part")
    parts = state / "s3" / ".multipart" / upload
    assert len(list(parts.iterdir())) == 1

    s3.delete_bucket(Bucket=bucket)

    assert not parts.exists()


def test_compressed_requests_are_unpacked(request_):
    """
    boto3 compresses large puts of logs.
    """
    group = f"/gzip/{uuid.uuid4().hex}"
    body = gzip.compress(json.dumps({"logGroupName": group}).encode())
    headers = {"x_amz_target": "Logs_20140328.CreateLogGroup", "content_encoding": "gzip"}

    assert request_("POST", "/", body, "logs", **headers)[0] == 200
    status, _, answer = request_("POST", "/", body[:-4], "logs", **headers)

    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")


def test_head_has_the_length_and_no_body(request_, bucket, aws):
    """
    And the connection goes on.
    """
    aws("s3").put_object(Bucket=bucket, Key="k", Body=b"hello")

    for _ in range(2):
        status, headers, body = request_("HEAD", f"/{bucket}/k")
        assert (status, headers["Content-Length"], body) == (200, "5", b"")
    assert request_("GET", f"/{bucket}/k")[2] == b"hello"


# Addresses


def test_keys_do_not_leave_the_bucket(request_, state, bucket):
    """
    A path with dots in it is a key like any other.
    """
    path = f"/{bucket}/../../../outside"

    assert request_("PUT", path, b"x")[0] == 200
    assert request_("GET", path)[2] == b"x"
    assert request_("GET", "/outside")[0] == 404
    assert not list(state.parent.rglob("outside"))


def test_a_bucket_may_be_in_the_host_name(request_, bucket):
    """
    BUCKET.localhost, beside the path.
    """
    assert request_("PUT", "/a/b", b"x", Host=f"{bucket}.localhost:1")[0] == 200
    assert request_("GET", f"/{bucket}/a/b")[2] == b"x"


def test_a_key_that_is_no_utf8_is_refused(request_, bucket):
    """
    InvalidURI.
    """
    status, _, answer = request_("PUT", f"/{bucket}/%ff", b"x")

    assert (status, b"InvalidURI" in answer) == (400, True)


def test_a_bucket_called_endpoints_is_a_bucket(aws):
    """
    Only what is signed for SageMaker invokes an endpoint.
    """
    s3 = aws("s3")
    s3.create_bucket(Bucket="endpoints")
    s3.put_object(Bucket="endpoints", Key="x/invocations", Body=b"data")

    assert s3.get_object(Bucket="endpoints", Key="x/invocations")["Body"].read() == b"data"
    with pytest.raises(ClientError, match=r"(?i)endpoint x of account 000000000000 not found"):
        aws("sagemaker-runtime").invoke_endpoint(EndpointName="x", Body=b"data")
    s3.delete_object(Bucket="endpoints", Key="x/invocations")
    s3.delete_bucket(Bucket="endpoints")


# Presigned URLs


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_needs_no_keys(aws, bucket, version):
    """
    To write and to read, with response headers of its choice; with either signature.
    """
    s3 = aws("s3", signature_version=version)
    key = {"Bucket": bucket, "Key": "a b"}
    disposition = {"ResponseContentDisposition": "inline"}

    put = fetch(s3.generate_presigned_url("put_object", key), "PUT", b"hello")
    got = fetch(s3.generate_presigned_url("get_object", {**key, **disposition}))

    assert (put[0], got) == (200, (200, b"hello"))


@pytest.mark.parametrize("disposition", ["attachment; filename=日本.jpg", "a\r\nX-B: c"])
def test_a_header_that_http_cannot_carry_is_refused(aws, bucket, disposition):
    """
    InvalidArgument, in words that boto3 reads.
    """
    s3 = aws("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    with pytest.raises(ClientError, match="ISO-8859-1") as caught:
        s3.get_object(Bucket=bucket, Key="k", ResponseContentDisposition=disposition)

    assert caught.value.response["Error"]["Code"] == "InvalidArgument"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_expires(aws, bucket, version):
    """
    AccessDenied.
    """
    s3 = aws("s3", signature_version=version)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=0)

    status, body = fetch(url)

    assert (status, b"Request has expired" in body) == (403, True)


# Who may


def test_other_names_of_this_machine_are_refused(request_, bucket):
    """
    A web page that has its own name resolve to 127.0.0.1 gets nothing.
    """
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert request_("GET", f"/{bucket}", Host=host)[0] == 403


def test_web_pages_are_refused(request_, bucket):
    """
    A request that says it comes from a page of another origin.
    """
    assert request_("GET", f"/{bucket}", Origin="https://evil.example")[0] == 403
    assert request_("GET", f"/{bucket}", Origin="http://localhost:3000")[0] == 200


def test_unsigned_requests_may_only_read_objects(request_, bucket, aws):
    """
    What a web page can send without asking, too.
    """
    aws("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    target = "SageMaker.ListModels"

    assert request_("GET", f"/{bucket}/k", service=None)[2] == b"x"
    assert request_("PUT", f"/{bucket}/k", b"y", service=None)[0] == 403
    assert request_("POST", f"/{bucket}?delete", b"<Delete/>", service=None)[0] == 403
    assert request_("POST", "/", b"{}", service=None, x_amz_target=target)[0] == 403


# What local mode lacks


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("sagemaker", "list_auto_ml_jobs", {}),
        ("logs", "describe_queries", {}),
        ("s3", "get_bucket_acl", {"Bucket": "bucket"}),
        ("s3", "get_object_attributes", {"Bucket": "b", "Key": "k", "ObjectAttributes": ["ETag"]}),
        ("iam", "list_users", {}),
        ("ec2", "describe_instances", {}),
        ("ecr", "describe_registry", {}),
        ("lambda", "list_functions", {}),
        ("route53", "list_hosted_zones", {}),
        ("cloudwatch", "list_metrics", {}),
        (
            "sagemaker-featurestore-runtime",
            "get_record",
            {"FeatureGroupName": "a", "RecordIdentifierValueAsString": "b"},
        ),
    ],
)
def test_what_local_mode_lacks_says_so_to_boto3(aws, service, call, arguments):
    """
    In the protocol of each service, so that nothing hangs, and nothing reaches AWS.
    """
    with pytest.raises(ClientError, match="not in local mode, which has: ") as caught:
        getattr(aws(service), call)(**arguments)

    assert caught.value.response["Error"]["Code"] == "NotInLocalMode"


def test_malformed_xml_is_said_to_be(request_, bucket):
    """
    In whatever way it is malformed.
    """
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>'
    for body in (b"", b"<Delete>", b"<Delete/>", bomb):
        status, _, answer = request_("POST", f"/{bucket}?delete", body)
        assert (status, b"MalformedXML" in answer) == (400, True)


def test_the_region_is_the_callers(aws):
    """
    ARNs name the region that the request was signed for.
    """
    group = f"/region/{uuid.uuid4().hex}"
    logs = aws("logs", "ap-southeast-2")
    logs.create_log_group(logGroupName=group)

    (described,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]

    assert described["arn"] == f"arn:aws:logs:ap-southeast-2:000000000000:log-group:{group}:*"
