"""The live page of a verb that runs a maker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flatbook.app.run import UnderWay
from flatbook.cli.outcome import say

DEFAULT_PORT = 8765


@contextmanager
def live_page(prepared: UnderWay, pace: str, port: int, open_page: bool) -> Iterator[Callable[[], None]]:
    """The live page while the run lasts; yields what posts a view when somebody looks."""
    # A headless run starts without a web server's libraries.
    from flatbook.app.view import Viewer
    from flatbook.service.browser import open_in_browser
    from flatbook.service.dashboard import Dashboard
    from flatbook.service.noticeboard import Noticeboard

    state, live = prepared.engine.state, prepared.live
    latency = live.watch.facts if live is not None else lambda: None
    viewer = Viewer(prepared.run_id, prepared.market, state.setup.policy.name, pace, prepared.label, latency)
    board = Noticeboard(viewer.empty())
    with Dashboard(port, board) as dashboard:
        if dashboard.note:
            say(dashboard.note)
        say(f"live page: {dashboard.url}")
        if open_page:
            open_in_browser(dashboard.url)

        def show() -> None:
            viewer.remember(state)
            if board.wanted():
                board.post(viewer.view(state))

        yield show
        board.post(viewer.view(state, "ended"))


def nothing_shown() -> None:
    """For runs that nobody watches."""
