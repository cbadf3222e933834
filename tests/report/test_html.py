import html
import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import resources

import msgspec
import pytest

from flatbook.report.assets import plotly_js
from flatbook.report.facts import LogEntry, RunFacts
from flatbook.report.html import render
from flatbook.report.summary import summarise
from flatbook.report.tables import Tables

VOID = {"meta", "input", "br"}


class Outline(HTMLParser):
    """Collects what a page would load, its ids and links, and whether its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [f"{tag} {key}" for key in named if key in {"src", "srcset", "action", "data"}]
        if tag == "link":
            self.loads.append("link")
        if href := named.get("href"):
            self.links.append(href)
        if name := named.get("id"):
            self.ids.append(name)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _outline(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert outline.open == []
    return outline


@pytest.fixture(scope="module")
def page(tables: Tables, facts: RunFacts) -> str:
    return render(tables.frames(), summarise(tables, facts))


def test_the_page_loads_nothing(page: str) -> None:
    outline = _outline(page)
    assert outline.loads == []
    assert all(link.startswith("#") for link in outline.links)
    own = page.replace(plotly_js(), "")
    assert len(page) - len(own) == len(plotly_js())
    assert re.findall(r"https?://|//[a-z]+\.|@import|url\(", own) == []


def test_links_and_ids_agree(page: str) -> None:
    outline = _outline(page)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)


def test_every_chart_the_script_draws_has_its_place(page: str) -> None:
    script = page.rpartition("<script>")[2]
    drawn = set(re.findall(r'(?:draw|one)\("([a-z-]+)"', script)) | set(re.findall(r'element\("([a-z-]+)"\)', script))
    assert {"equity", "delta", "quote", "hedge", "smile-plot", "data"} <= drawn
    assert drawn <= set(_outline(page).ids)


def test_the_data_of_the_charts_is_json_without_nan(page: str) -> None:
    payload = page.partition('id="data">')[2].partition("</script>")[0]
    data = json.loads(payload, parse_constant=lambda name: pytest.fail(f"{name} in the page's data"))
    assert set(data) == {"equity", "stages", "exposures", "quotes", "hedges", "smiles"}
    assert None in data["quotes"][0]["bid"]


def test_numbers_of_the_summary_are_on_the_page(page: str, facts: RunFacts) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.replace(plotly_js(), "")))
    total = f"{facts.ledger.pnl_usd:,.2f}"
    for shown in (total, "94.1 %", "0.62 vol pt", "Pessimistic", "−$4,750", "balanced", "reduce-only", "kept the last"):
        assert shown in text


def test_monitors_are_a_row_each_with_their_thresholds(page: str) -> None:
    (section,) = re.findall(r'<section id="monitors">.*?</section>', page, re.S)
    assert "2.0 false alarms a week" in section
    shown = re.sub(r"<[^>]+>|&#8239;", " ", section.split("<tbody>")[1]).split()
    assert " ".join(shown) == "index s 41.5 of 5.000, 12 s old 61.2 learning, 12 s old – learning, 12 s old 1.000 2"
    assert '<span class="loss">41.5</span>' in section


def test_rendering_is_deterministic(page: str, tables: Tables, facts: RunFacts) -> None:
    assert render(tables.frames(), summarise(tables, facts)) == page


def test_text_from_outside_cannot_become_markup(tables: Tables, facts: RunFacts) -> None:
    evil = "</script><script>alert(1)</script><b>"
    frames = tables.frames()
    frames["quotes"] = frames["quotes"].with_columns(instrument=frames["quotes"]["instrument"] + evil)
    frames["hedges"] = frames["hedges"].with_columns(reason=frames["hedges"]["reason"] + evil)
    named = msgspec.structs.replace(
        facts,
        run=msgspec.structs.replace(facts.run, policy=evil, session=evil, id=evil),
        log=(LogEntry(ts_ns=facts.run.from_ns, kind=evil, text=evil),),
    )
    outline = _outline(render(frames, summarise(frames, named)))
    assert outline.loads == []
    assert "alert" not in "".join(outline.ids)
    assert render(frames, summarise(frames, named)).count("<script>alert") == 0


def test_an_empty_run_still_has_a_page(facts_of: Callable[[float], RunFacts]) -> None:
    facts = msgspec.structs.replace(facts_of(0.0), log=())
    page = render(Tables().frames(), summarise(Tables(), facts))
    _outline(page)
    for sentence in ("no hedges", "no fills", "No quote", "No slice", "No exposure", "No equity", "Nothing was logged"):
        assert sentence in page


def test_four_days_render_in_time(tables: Tables, facts: RunFacts) -> None:
    summary = summarise(tables, facts)
    frames = tables.frames()
    started = time.perf_counter()
    page = render(frames, summary)
    assert time.perf_counter() - started < 3.0
    assert len(page) - len(plotly_js()) < 1_500_000


@pytest.mark.parametrize("package", ["report", "service"])
def test_no_axis_writes_cents_as_millions(package: str) -> None:
    # d3's prefixes are the metre's: m is a thousandth, so that "$,.3~s" has fifty cents as $500m.
    for script in resources.files(f"flatbook.{package}").joinpath("static").iterdir():
        if script.name.endswith(".js"):
            assert not re.findall(r"[.\d]~?s[\"'`}]", script.read_text(encoding="utf-8")), script.name
    common = resources.files("flatbook.report").joinpath("static", "common.js").read_text(encoding="utf-8")
    assert 'tickformatstops: [{ dtickrange: [null, 0.999], value: "$,.2f" }]' in common
