"""The pages say what the code does: commands exist and run, fields are described, links lead somewhere."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from docs.pages import PAGES
from pydantic import BaseModel

import flatbook
from flatbook.cli import command_line
from flatbook.engine.policy import Policy
from flatbook.policies import shipped_policies

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DATA = ROOT.parent / "shared" / "data"
PROSE = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = sorted(
    path
    for place in ("*.*", "Makefile", ".ci/*", "src/**/*", "tests/**/*", "bench/**/*", "docs/**/*")
    for path in ROOT.glob(place)
    if path.suffix in {"", ".md", ".py", ".toml", ".txt", ".js", ".css", ".html"} and path.is_file()
)

Verbs = dict[str, set[str]]


def verbs() -> Verbs:
    """Every verb of the command line with its options."""
    root = typer.main.get_command(command_line())
    found: Verbs = {}
    waiting = [("flatbook", root)]
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", {})
        waiting += [(f"{name} {word}", below) for word, below in inner.items()]
        if not inner:
            found[name] = {option for parameter in command.params for option in parameter.opts if option[0] == "-"}
    return found


def commands(text: str) -> Iterator[str]:
    """Commands that a page shows: lines of code blocks and inline code that begin with the program's name."""
    yield from (line.strip() for line in re.findall(r"^ {4}(flatbook .*)$", text, re.MULTILINE))
    yield from re.findall(r"`(flatbook [^`]*)`", text)


@pytest.mark.parametrize("page", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_and_option_shown_exists(page: Path) -> None:
    known = verbs()
    for command in commands(page.read_text(encoding="utf-8")):
        found = [verb for verb in known if f"{command} ".startswith(f"{verb} ")]
        assert found, f"{command}: no such verb"
        options = {word for word in shlex.split(command) if word.startswith("--")}
        assert options <= known[found[0]], f"{command}: {options - known[found[0]]}"


def test_the_readme_lists_every_verb_once() -> None:
    listed = re.findall(r"^\| `(flatbook [a-z ]+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(verbs())


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_as_the_code_is(name: str) -> None:
    held = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert held == PAGES[name](), f"docs/{name} is behind the code: run make docs"


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Every field of a configuration by its dotted name, with its description."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description


def test_every_policy_field_is_described() -> None:
    assert not [name for name, description in fields(Policy) if not description]


def test_every_policy_that_ships_is_in_the_readme() -> None:
    assert not [name for name in shipped_policies() if f"`{name}`" not in README]


@pytest.mark.parametrize("page", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if "://" not in target and not (page.parent / target).is_file()]


def test_the_readme_has_one_picture_of_a_size_to_load() -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).stat().st_size < 400_000


def test_make_targets_named_in_prose_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        word for page in PROSE for word in re.findall(r"(?:`| {4})make ([a-z]+)", page.read_text(encoding="utf-8"))
    }
    assert {"run", "test"} <= named
    assert not [word for word in named if not re.search(rf"^{word}:", makefile, re.MULTILINE)]


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == flatbook.__version__
    assert f"## {flatbook.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_contributing_fits_a_screen() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 45


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_nothing_names_a_machine_or_a_package_index() -> None:
    homes = "|".join("/" + home for home in ("work/", "root/", "home/", "Users/", "tmp/"))
    hosts = "|".join(["py" + "pi.org", "python" + "hosted", "--index" + "-url", "find" + "-links"])
    named = re.compile(rf"(?<![\w.])(?:{homes})[a-z]|{hosts}")
    found = {path.relative_to(ROOT): named.findall(path.read_text(encoding="utf-8")) for path in WRITTEN}
    assert not {place: words for place, words in found.items() if words}


def readme_commands() -> list[str]:
    """The commands of the README's code blocks, in its order."""
    return re.findall(r"^ {4}(flatbook .*)$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to work in, beside the downloads that the README speaks of where they are there."""
    desk = tmp_path_factory.mktemp("desk")
    if DATA.is_dir():
        (desk / "data").symlink_to(DATA)
    return desk


@pytest.mark.parametrize("command", readme_commands())
def test_the_readmes_commands_run(command: str, desk: Path) -> None:
    words = shlex.split(command)
    if any("data/" in word or "sessions/" in word for word in words) and not DATA.is_dir():
        pytest.skip("the recorded option tape is not beside the repository")
    program = [sys.executable, "-c", "from flatbook.cli import main; main()", *words[1:]]
    done = subprocess.run(program, cwd=desk, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
