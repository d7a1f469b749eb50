"""docs/check.md names every check, as the code has it."""

from pathlib import Path

from kennel.checking import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "check.md"


def test_the_documented_checks_are_those_of_the_code():
    """
    The table in docs/check.md is what the catalogue writes today.
    """
    text = DOCUMENT.read_text()

    assert text == document.renewed(text), "python -m kennel.checking.document docs/check.md"
