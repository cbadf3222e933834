"""The page's fixed parts: the files packaged beside the code, and plotly.js from its own package."""

from functools import cache
from importlib import resources


@cache
def static(name: str) -> str:
    """The text of a file in `static/`."""
    return resources.files("flatbook.report").joinpath("static", name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """The whole of plotly.js (4.8 MB), so that a page needs no network."""
    return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
