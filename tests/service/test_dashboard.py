import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from flatbook.report.assets import plotly_js
from flatbook.service.dashboard import HOST, Dashboard, Feed, build_app, listen
from flatbook.service.live import LiveView


class Client:
    """Asks the app without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app=app)

    def request(self, method: str, path: str, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(send())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, **headers)


@pytest.fixture
def client(live_view: LiveView) -> Client:
    return Client(build_app(Feed(lambda: live_view), lambda: False))


def test_the_page_names_only_local_files_that_are_there(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert "/static/plotly.min.js" in files
    assert all(client.get(file).status_code == 200 for file in files)
    for text in (page.text, client.get("/static/live.js").text, client.get("/static/live.css").text):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_every_place_the_script_fills_is_on_the_page(client: Client) -> None:
    script, page = client.get("/static/live.js").text, client.get("/").text
    filled = set(re.findall(r'(?:element|draw|list)\("([a-z-]+)"', script))
    assert {"equity", "equity-chart", "fills", "smile-chart"} <= filled
    assert filled <= set(re.findall(r'id="([a-z-]+)"', page))


def test_plotly_comes_from_its_package(client: Client) -> None:
    assert client.get("/static/plotly.min.js").text == plotly_js()


@pytest.mark.parametrize("path", ["/static/live.py", "/static/..%2Fdashboard.py", "/docs", "/openapi.json"])
def test_nothing_else_is_served(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_view_is_json(client: Client, live_view: LiveView) -> None:
    answer = client.get("/api/view")
    assert answer.headers["content-type"] == "application/json"
    assert msgspec.json.decode(answer.content)["equity_usd"] == pytest.approx(live_view.equity_usd)
    assert client.get("/healthz").json() == {"status": "ok"}


def test_it_is_read_only_and_answers_only_to_this_machines_names(client: Client) -> None:
    assert client.request("POST", "/api/view").status_code == 405
    assert client.get("/api/view", host="elsewhere.example").status_code == 400
    assert client.get("/api/view", host="localhost:8000").status_code == 200
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]
    assert "access-control-allow-origin" not in client.get("/api/view").headers


def test_many_asking_make_one_view_an_interval(live_view: LiveView) -> None:
    feed = Feed(_moving(live_view), per_second=4.0)
    first = {feed.latest() for _ in range(200)}
    assert len(first) == 1
    time.sleep(feed.interval_s)
    assert feed.latest() not in first


def _moving(view: LiveView) -> Callable[[], LiveView]:
    steps = iter(range(10**9))
    return lambda: msgspec.structs.replace(view, clock_ns=next(steps))


def test_it_binds_streams_and_stops(live_view: LiveView) -> None:
    threads = threading.active_count()
    with Dashboard(0, _moving(live_view), per_second=20.0) as dashboard:
        assert dashboard.note is None
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", dashboard.url)
        assert httpx.get(dashboard.url + "healthz").json() == {"status": "ok"}
        clocks = []
        with httpx.stream("GET", dashboard.url + "api/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    clocks.append(msgspec.json.decode(line.removeprefix("data: "))["clock_ns"])
                if len(clocks) == 4:
                    break
        assert clocks == sorted(set(clocks))
    assert threading.active_count() == threads
    with pytest.raises(httpx.ConnectError):
        httpx.get(dashboard.url)


def test_it_stops_promptly_with_a_page_open(live_view: LiveView) -> None:
    heard, lines = threading.Event(), list[str]()

    def look(url: str) -> None:
        with httpx.stream("GET", url + "api/stream") as answer:
            for line in answer.iter_lines():
                lines.append(line)
                heard.set()

    with Dashboard(0, _moving(live_view)) as dashboard:
        page = threading.Thread(target=look, args=(dashboard.url,))
        page.start()
        assert heard.wait(5)
        started = time.perf_counter()
    assert time.perf_counter() - started < 1.5
    page.join(5)
    assert not page.is_alive()
    assert "event: end" in lines[-4:], "the page is told that no more will come"


def test_a_taken_port_is_replaced_and_said() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        listener, note = listen(port)
        with listener:
            other = listener.getsockname()[1]
            assert listener.getsockname()[0] == "127.0.0.1"
            assert other != port
            assert note is not None
            assert f"port {port} cannot be used" in note
            assert note.endswith(f"on port {other}")


def test_a_dashboard_on_a_taken_port_still_serves(live_view: LiveView) -> None:
    with Dashboard(0, lambda: live_view) as first:
        port = int(first.url.rstrip("/").rpartition(":")[2])
        with Dashboard(port, lambda: live_view) as second:
            assert second.note is not None
            assert httpx.get(second.url + "api/view").status_code == 200
            assert httpx.get(first.url + "api/view").status_code == 200
