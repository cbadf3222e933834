"""Run the benchmarks and print a table; exit 3 where a measured bar does not hold."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bench
from bench.measure import Result, Work, compare


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=bench.__doc__)
    parser.add_argument("names", nargs="*", help=f"benchmarks to run, of: {', '.join(available())}; default all")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each piece of work")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(available()))
    if unknown:
        print(f"no benchmark named {unknown[0]!r}: there are {', '.join(available())}", file=sys.stderr)
        return 2
    done: list[tuple[Work, list[Result]]] = []
    for name in arguments.names or available():
        print(f"{name}: preparing", file=sys.stderr)
        for work in importlib.import_module(f"bench.{name}").works():
            print(f"{name}: {work.name}", file=sys.stderr)
            done.append((work, compare(work, arguments.seconds)))
    print(json.dumps(document(done), indent=1)) if arguments.json else Console().print(table(done))
    return 3 if any(result.holds is False for _, results in done for result in results) else 0


def available() -> list[str]:
    """Modules of this package that define `works`."""
    folder = Path(__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if "def works(" in path.read_text(encoding="utf-8"))


def rate(work: Work, seconds: float | None) -> str:
    """A time in the work's unit."""
    if seconds is None:
        return ""
    if work.unit == "M/s":
        return f"{work.size / seconds / 1e6:.4g} M/s"
    scale = {"ms": 1e3, "us": 1e6}[work.unit]
    return f"{seconds * scale:.4g} {work.unit}"


def table(done: list[tuple[Work, list[Result]]]) -> Table:
    """One row a contender: its rate, and how many times as fast ours is."""
    shown = Table(title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors")
    for heading in ("work", "contender", "time", "ours / theirs", "p99 / p50", "bar", ""):
        shown.add_column(heading, justify="left" if heading in ("work", "contender", "") else "right")
    for work, results in done:
        for position, result in enumerate(results):
            ratio = "" if position == 0 or result.ours_is_faster is None else f"{result.ours_is_faster:.3g} x"
            verdict = {True: "holds", False: "DOES NOT HOLD", None: result.absent}[result.holds]
            bar = f">= {result.bar:g} x" if result.bar is not None else ""
            bar = f"<= {rate(work, result.most_seconds)}" if result.most_seconds is not None else bar
            bar = f"p99 <= {result.most_tail:g} x" if result.most_tail is not None else bar
            tail = "" if result.tail is None else f"{result.tail:.2g}"
            name = work.name if position == 0 else ""
            shown.add_row(name, result.name, rate(work, result.seconds), ratio, tail, bar, verdict)
        if work.note:
            shown.add_row("", work.note)
        shown.add_section()
    return shown


def document(done: list[tuple[Work, list[Result]]]) -> dict[str, object]:
    """The same as plain data."""
    return {
        "processors": os.cpu_count(),
        "works": [
            {
                "name": work.name,
                "size": work.size,
                "note": work.note,
                "results": [dataclasses.asdict(result) | {"holds": result.holds} for result in results],
            }
            for work, results in done
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
