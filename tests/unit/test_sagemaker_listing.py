"""Lists are filtered, sorted and paged as SageMaker's are."""

from datetime import UTC, datetime, timedelta

import pytest

from kennel.local.sagemaker.listing import page
from kennel.local.wire.errors import ApiError

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("delta", "alpha", "charlie", "bravo")  # in the order of their creation
ITEMS = [
    {
        "Name": name,
        "State": "Failed" if name == "alpha" else "Done",
        "CreationTime": START + timedelta(hours=hour),
        "LastModifiedTime": START + timedelta(hours=hour, days=1),
    }
    for hour, name in enumerate(NAMES)
]


def names(items=ITEMS, **params):
    shown, _ = page(items, params, name="Name", status="State")
    return [item["Name"] for item in shown]


def test_the_newest_comes_first():
    """
    Without SortBy the order is that of creation, the last first.
    """
    assert names() == ["bravo", "charlie", "alpha", "delta"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({"SortBy": "Name"}, ["delta", "charlie", "bravo", "alpha"], id="name"),
        pytest.param(
            {"SortBy": "Name", "SortOrder": "Ascending"},
            ["alpha", "bravo", "charlie", "delta"],
            id="ascending",
        ),
        pytest.param(
            {"SortBy": "Status", "SortOrder": "Descending"},
            ["alpha", "delta", "charlie", "bravo"],
            id="status",
        ),
        pytest.param({"NameContains": "LPH"}, ["alpha"], id="name-contains"),
        pytest.param({"StatusEquals": "Failed"}, ["alpha"], id="status-equals"),
        pytest.param(
            {"CreationTimeAfter": START + timedelta(hours=1)}, ["bravo", "charlie"], id="after"
        ),
        pytest.param({"CreationTimeBefore": START + timedelta(hours=1)}, ["delta"], id="before"),
        pytest.param(
            {"LastModifiedTimeAfter": START + timedelta(days=1, hours=2)}, ["bravo"], id="modified"
        ),
    ],
)
def test_filters_and_orders(params, expected):
    """
    Each filter keeps what it says, and each order is the one asked for.
    """
    assert names(**params) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ["Ascending", "Descending"])
def test_pages_join_to_the_whole(size, order):
    """
    Whatever the page size, each item is on one page.
    """
    params = {"MaxResults": size, "SortOrder": order}
    seen, token = [], None
    while True:
        asked = params | ({"NextToken": token} if token else {})
        shown, token = page(ITEMS, asked, name="Name", status="State")
        seen += [item["Name"] for item in shown]
        if token is None:
            break

    assert seen == names(SortOrder=order)


def test_a_page_goes_on_where_the_last_one_ended():
    """
    What was deleted or created between two pages neither hides an item nor repeats one.
    """
    params = {"MaxResults": 2, "SortBy": "Name", "SortOrder": "Ascending"}
    _, token = page(ITEMS, params, name="Name")
    changed = [item for item in ITEMS if item["Name"] != "alpha"]
    changed.append({**ITEMS[0], "Name": "aardvark"})

    assert names(changed, **params, NextToken=token) == ["charlie", "delta"]


@pytest.mark.parametrize("token", ["???", "bm8=", "WzEsICJhIl0="])
def test_a_token_that_is_not_ours_is_refused(token):
    """
    A made-up token is a ValidationException, not a page.
    """
    with pytest.raises(ApiError, match="ValidationException: Invalid NextToken"):
        names(NextToken=token, SortBy="Name")
