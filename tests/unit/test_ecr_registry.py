"""What a registry answers, and what is made of it."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kennel.local.ecr.registry import Manifest, Registry
from kennel.local.wire.errors import ApiError

DIGEST = f"sha256:{'1' * 64}"


class Answers(BaseHTTPRequestHandler):
    """A registry with one repository of three tags, a page each, and others that go wrong."""

    def do_GET(self):
        self.server.seen.append(self.headers["Authorization"])
        match self.path.split("/")[2]:
            case "paged":
                number = int(self.path.partition("last=")[2] or 0)
                following = f'</v2/paged/tags/list?last={number + 1}>; rel="next"'
                self.answer(200, {"tags": [f"t{number}"]}, following if number < 2 else None)
            case "null":
                self.answer(200, {"tags": None})
            case "page":
                self.answer(200, text="<html>")
            case "list":
                self.answer(200, ["t"])
            case "refused":
                self.answer(401)
            case "broken":
                self.answer(500, {"errors": "no disk"})
            case _:
                self.answer(404)

    def do_HEAD(self):
        self.do_GET()

    def do_DELETE(self):
        self.answer(405)

    def answer(self, status, document=None, link=None, text=None):
        body = (text or json.dumps(document or {})).encode()
        self.send_response(status)
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    """A program that answers as a registry does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def registry(server):
    """The registry, as a client with a password knows it."""
    return Registry(f"127.0.0.1:{server.server_port}", "me", "it's secret")


def test_every_page_of_tags_is_read(registry):
    """
    As long as an answer names another page.
    """
    assert registry.tags("paged") == ["t0", "t1", "t2"]


@pytest.mark.parametrize("name", ["absent", "null"])
def test_a_repository_without_images_has_no_tags(registry, name):
    """
    A registry knows nothing of a repository before the first push, or says null after the last.
    """
    assert registry.tags(name) == []


def test_an_image_that_is_not_there_is_none(registry):
    """
    By its tag or digest.
    """
    assert registry.manifest("absent", "tag") is None
    assert registry.digest("absent", DIGEST) is None


def test_user_and_password_are_sent(server, registry):
    """
    As basic authentication, which is the token of GetAuthorizationToken.
    """
    registry.tags("null")

    assert server.seen == [f"Basic {registry.token}"]
    assert base64.b64decode(registry.token) == b"me:it's secret"
    assert "secret" not in repr(registry)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        pytest.param(lambda r: r.tags("refused"), "refuses user 'me' and the password", id="401"),
        pytest.param(
            lambda r: r.tags("broken"),
            'answered GET /v2/broken/tags/list with 500: {"errors": "no disk"}',
            id="500",
        ),
        pytest.param(lambda r: r.tags("page"), "another program: it answered '<html>'", id="html"),
        pytest.param(lambda r: r.tags("list"), "another program", id="other-json"),
        pytest.param(lambda r: r.manifest("page", "t"), "another program", id="no-digest"),
        pytest.param(lambda r: r.digest("page", "t"), "another program", id="no-digest-of-a-head"),
        pytest.param(lambda r: r.delete("x", DIGEST), "deletes no images", id="405"),
        pytest.param(
            lambda _: Registry("127.0.0.1:1").tags("x"), "does not answer: ", id="nobody-there"
        ),
    ],
)
def test_a_registry_that_cannot_be_used_is_told(registry, ask, said):
    """
    What it did, and what to set; as an error that clients do not repeat for a minute.
    """
    with pytest.raises(ApiError) as caught:
        ask(registry)

    assert caught.value.code == "ServerException"
    assert caught.value.status == 400
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("document", "size"),
    [({"layers": [{"size": 3}, {"size": 4}]}, 7), ({"manifests": [{"size": 3}]}, None)],
    ids=["image", "index"],
)
def test_an_image_is_as_large_as_its_layers(document, size):
    """
    An index of several images has no size of its own.
    """
    assert Manifest(DIGEST, "application/json", json.dumps(document)).size_bytes == size


def test_what_describes_a_registry_to_the_server_is_read_back():
    """
    By its environment, where a password is not seen in the list of processes.
    """
    registry = Registry("localhost:5001", "me", "secret")

    assert Registry.from_environment(registry.variables()) == registry
    assert Registry.from_environment({}) == Registry()
