"""Small pieces of HTML: escaped text, tables, bars. Every text passes through `escape` exactly once, here."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple


class Html(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


class Column(NamedTuple):
    """A table column: its heading, the unit under it, and whether it holds numbers."""

    name: str
    unit: str = ""
    is_number: bool = True


Cell = str | Html


def text(value: Cell) -> Html:
    """`value` as markup."""
    return value if isinstance(value, Html) else Html(escape(value))


def tag(name: str, *content: Cell, css: str = "") -> Html:
    """An element with its content and class."""
    attribute = f' class="{escape(css)}"' if css else ""
    return Html(f"<{name}{attribute}>{''.join(text(part) for part in content)}</{name}>")


def toned(value: float | None, shown: str) -> Html:
    """A signed amount, coloured by its sign."""
    tone = "" if not value else ("gain" if value > 0 else "loss")
    return tag("span", shown, css=tone) if tone else text(shown)


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, css: str = "") -> Html:
    """A table that scrolls sideways by itself on a narrow screen."""
    heads = [
        tag("th", column.name, tag("small", column.unit) if column.unit else "", css="" if column.is_number else "text")
        for column in columns
    ]
    body = [
        tag(
            "tr",
            *(
                tag("td", cell, css="" if column.is_number else "text")
                for column, cell in zip(columns, row, strict=True)
            ),
        )
        for row in rows
    ]
    inner = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", inner, css=f"scroll {css}".rstrip())


def signed_bar(value: float, greatest: float) -> Html:
    """A bar from the middle: right and green above zero, left and red below; full where `value` is `greatest`."""
    width = 50 * min(1.0, abs(value) / greatest) if greatest > 0 else 0.0
    left = 50.0 if value >= 0 else 50 - width
    tone = "gain" if value >= 0 else "loss"
    return Html(f'<span class="bar"><i class="{tone}" style="left:{left:.2f}%;width:{width:.2f}%"></i></span>')


def tile(name: str, value: Cell, note: str = "") -> Html:
    """A headline number with its name above and a line below."""
    return tag("div", tag("h3", name), tag("p", value, css="value"), tag("p", note, css="note"), css="tile")


def section(anchor: str, title: str, note: str, *content: Cell) -> Html:
    """A section with a heading that can be linked to and a sentence that says how to read it."""
    lead = tag("p", note, css="lead") if note else Html("")
    return Html(
        f'<section id="{escape(anchor)}">{tag("h2", title)}{lead}{"".join(text(part) for part in content)}</section>'
    )


def figure(name: str, title: str, unit: str) -> Html:
    """A place where the page's script draws chart `name`."""
    heading = tag("h3", title, tag("small", unit))
    return Html(f'<figure>{heading}<div id="{name}" class="plot"></div></figure>')


def nothing(what: str) -> Html:
    """What a section says when the run has nothing to show in it."""
    return tag("p", what, css="nothing")
