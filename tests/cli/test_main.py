"""The entry point: what it knows, and how it answers what it does not."""

import pytest

from flatbook import __version__

from .conftest import Flatbook

VERBS = ("run", "compare", "report", "price", "data")


def test_the_version(flatbook: Flatbook) -> None:
    ended = flatbook("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"flatbook {__version__}\n", "")


def test_help_names_every_verb_and_each_has_its_own(flatbook: Flatbook) -> None:
    every = flatbook("--help")
    assert every.code == 0
    for verb in VERBS:
        assert f" {verb} " in every.out
        ended = flatbook(verb, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert "Usage: flatbook" in ended.out


def test_nothing_asked_is_answered_with_help_and_2(flatbook: Flatbook) -> None:
    for words in ((), ("data",)):
        ended = flatbook(*words)
        assert ended.code == 2
        assert "Usage: flatbook" in ended.out
        assert ended.err == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("--nonsense", "No such option: --nonsense"),
        ("run --sede 3", "No such option: --sede"),
        ("run --seed three", "Invalid value for '--seed'"),
        ("run --hours 0", "Invalid value for '--hours'"),
        ("run --port 70000", "Invalid value for '--port'"),
        ("run --fills lucky", "'lucky' is not one of 'optimistic', 'queue', 'pessimistic'"),
        ("run advanced", "Got unexpected extra argument"),
        ("compare", "Missing argument 'POLICY...'"),
        ("report", "Missing argument 'DIR'"),
        ("price", "Missing argument 'IN.csv'"),
        ("data import x", "Missing option '--out'"),
        ("data chekc", "No such command 'chekc'"),
    ],
)
def test_words_that_mean_nothing_are_one_line_and_2(flatbook: Flatbook, words: str, says: str) -> None:
    ended = flatbook(*words.split())
    assert ended.code == 2
    assert says in ended.complaint
    assert ended.complaint.endswith("; see flatbook --help")
