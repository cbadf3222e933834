import webbrowser

import pytest

from flatbook.service import browser
from flatbook.service.browser import has_screen, open_in_browser

SSH = {"SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"}


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": "localhost:10.0", **SSH}, True),
        ("linux", {"BROWSER": "firefox"}, True),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {}, False),
        ("darwin", {}, True),
        ("darwin", SSH, False),
        ("win32", {}, True),
    ],
)
def test_a_screen_is_told_by_the_environment(platform: str, environment: dict[str, str], expected: bool) -> None:
    assert has_screen(platform, environment) is expected


@pytest.mark.parametrize("screen", [True, False])
def test_no_browser_is_asked_for_where_there_is_no_screen(screen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def open_(url: str) -> bool:
        asked.append(url)
        return True

    monkeypatch.setattr(browser, "has_screen", lambda *_: screen)
    monkeypatch.setattr(webbrowser, "open", open_)
    assert open_in_browser("http://127.0.0.1:8765/") is screen
    assert asked == ["http://127.0.0.1:8765/"] * screen
