"""What the client sends and takes is read as RFC 9110 says."""

import pytest

from kennel.errors import RequestError
from kennel.serving.media import CSV, JSON, NPY, essence, negotiate


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        "application/json; charset=utf-8",
        " Application/JSON ;a=b;c",
        "application/json;",
    ],
)
def test_parameters_and_case_of_a_content_type_do_not_matter(header):
    """
    charset=utf-8 is what many clients add unasked.
    """
    assert essence(header) == JSON


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("*", JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/x-npy", NPY),
        ("text/html, text/csv", CSV),
        ("text/csv, application/json", CSV),
        ("text/csv;q=0.5, application/x-npy;q=0.9, */*;q=0.1", NPY),
        ("application/json;q=0, */*", CSV),
        ("*/*;q=0.1, text/csv;q=0.2", CSV),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/csv;q=nonsense, application/x-npy;q=0.1", NPY),
        (", ,", JSON),
    ],
)
def test_the_best_answer_that_the_client_takes_is_given(accept, answer):
    """
    Wildcards, lists and q-values; JSON where the client does not mind.
    """
    assert negotiate(accept) == answer


@pytest.mark.parametrize(
    "accept", ["image/png", "text/html, text/plain", "*/*;q=0", "text/csv;q=0"]
)
def test_a_client_that_takes_none_of_our_answers_is_told_what_there_is(accept):
    """
    406, with the list.
    """
    with pytest.raises(RequestError) as caught:
        negotiate(accept)

    assert caught.value.status == 406
    assert caught.value.expected == "Accept: application/json, text/csv, application/x-npy"
