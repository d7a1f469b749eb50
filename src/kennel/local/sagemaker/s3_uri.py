"""S3 URIs as SageMaker's requests have them."""

from kennel.local.sagemaker.names import invalid


def split(uri: str) -> tuple[str, str]:
    """
    Return bucket and key of ``s3://bucket/key``; the key may be empty.

    Raises:
        ApiError: ``ValidationException``, when it is no S3 URI.
    """
    if not uri.startswith("s3://"):
        raise invalid(f"{uri!r} is not an S3 URI: expected s3://BUCKET/PREFIX")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise invalid(f"{uri!r} names no bucket: expected s3://BUCKET/PREFIX")
    return bucket, key


def join(uri: str, *parts: str) -> str:
    """Extend an S3 URI, whether or not it ends in a slash."""
    return "/".join([uri.rstrip("/"), *parts])
