"""Opening the live page where there is a screen to show it on."""

import os
import sys
import webbrowser
from collections.abc import Mapping


def open_in_browser(url: str) -> bool:
    """Opens `url` in the user's browser; says whether one was found."""
    return has_screen(sys.platform, os.environ) and webbrowser.open(url)


def has_screen(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser would come up in a window: elsewhere a text browser would take over the run's terminal."""
    if platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in environment
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
