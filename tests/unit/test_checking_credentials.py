"""Credentials are found, and what looks like them is not; no secret is ever shown."""

import pytest

from kennel.checking import credentials

KEY_ID = "AKIA" + "QX3NIYBBZ7WV2LMA"  # shaped like one, and nobody's
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEA" * 4 + "\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("root/.aws/credentials", "[default]\naws_secret_access_key = abc\n"),
        ("root/.git-credentials", "https://user:secret@example.com\n"),
        ("home/app/.netrc", "machine example.com login me password secret\n"),
        ("etc/pip.conf", "[global]\nindex-url = https://me:secret@example.com/simple\n"),
        ("root/.pypirc", "[pypi]\nusername = me\npassword = secret\n"),
        ("app/.npmrc", "//registry.npmjs.org/:_authToken=secret\n"),
        ("root/.docker/config.json", '{"auths": {"x": {"auth": "c2VjcmV0"}}}'),
        ("app/.env", "DATABASE_PASSWORD=secret\n"),
        ("root/.ssh/id_ed25519", PRIVATE),
        ("app/settings.py", f'KEY = "{KEY_ID}"\n'),
        ("app/notes.txt", "token ghp_" + "a1" * 18),
        ("app/hub.txt", "hf_" + "abcdefghij" * 3 + "abcd"),
    ],
)
def test_a_file_with_credentials_is_found(path, text):
    """
    By its name and content, or by its content alone.
    """
    (leak,) = credentials.in_file(path, text.encode())

    assert leak.where == f"/{path}"
    assert "secret" not in str(leak)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("root/.aws/credentials", "[default]\n"),
        ("etc/pip.conf", "[global]\nindex-url = https://example.com/simple\n"),
        ("etc/pip.conf", "[global]\nindex-url = https://${USER}:${PASSWORD}@example.com/simple\n"),
        ("app/docs.md", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"),
        ("app/code.py", 'HEADER = "-----BEGIN PRIVATE KEY-----"\n'),
        ("app/.env", "DATABASE_PASSWORD=\nDEBUG=1\n"),
        ("usr/lib/python3/dist-packages/tornado/test/test.key", PRIVATE),
        ("app/node_modules/https-proxy-agent/test/server.key", PRIVATE),
        ("etc/ssl/private/ssl-cert-snakeoil.key", PRIVATE),
        ("etc/ssl/certs/ca.pem", "-----BEGIN CERTIFICATE-----\n" + "A" * 64 + "\n"),
        ("app/base64.txt", "XAKIAQX3NIYBBZ7WV2LMA0"),
    ],
)
def test_what_only_looks_like_credentials_is_not_reported(path, text):
    """
    Placeholders, AWS's own examples, names of keys in code, and the keys of a package's tests.
    """
    assert list(credentials.in_file(path, text.encode())) == []


@pytest.mark.parametrize(
    ("line", "is_leak"),
    [
        ("AWS_SECRET_ACCESS_KEY=abc", True),
        ("AWS_ACCESS_KEY_ID=abc", True),
        ("HF_TOKEN=abc", True),
        ("PIP_INDEX_URL=https://me:pw@example.com/simple", True),
        ("TOKENIZERS_PARALLELISM=false", False),
        ("GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", False),
        ("DATABASE_PASSWORD=", False),
        ("PAD_TOKEN=<pad>", False),
        ("MAX_TOKEN=4096", False),
        ("DATABASE_PASSWORD=20240101", True),
        ("TOKEN=/run/secrets/token", False),
        ("PIP_INDEX_URL=https://example.com/simple", False),
        ("PATH=/usr/bin", False),
    ],
)
def test_the_environment_is_looked_through(line, is_leak):
    """
    A secret's name with a value of its own, or a value that is one.
    """
    assert bool(list(credentials.in_environment([line]))) == is_leak


@pytest.mark.parametrize(
    ("command", "is_leak"),
    [
        ("|1 API_TOKEN=abc123 /bin/sh -c pip install x", True),
        ("RUN |2 PIP_PASSWORD=pw VERSION=1 /bin/sh -c make # buildkit", True),
        ("/bin/sh -c git clone https://me:pw@example.com/x", True),
        ("/bin/sh -c TOKEN=$(cat /run/secrets/token) make", False),
        ("COPY . /app # buildkit", False),
    ],
)
def test_build_arguments_stay_in_the_history(command, is_leak):
    """
    Both builders write them into the command of the layer.
    """
    assert bool(list(credentials.in_history([command]))) == is_leak


def test_the_finding_names_places_and_counts():
    """
    The first five, and how many more there are.
    """
    leaks = [credentials.Leak(f"/file{n}", "a private key") for n in range(7)]

    found = credentials.judge(leaks, 100)

    assert (found.status, found.figures["leaks"]) == ("fail", 7)
    assert found.evidence.endswith("/file4 and 2 more")


def test_what_was_not_read_is_not_passed():
    """
    A check that did not see all files does not say that there is nothing in them.
    """
    unread = "not all layers were read within 900 s"

    found = credentials.judge([], 100, unread)

    assert (found.status, unread in found.evidence) == ("skip", True)
    assert credentials.judge([credentials.Leak("/a", "b")], 100, unread).status == "fail"
