"""What every bench's command line does: words, interruption, figures over the runs, table or JSON."""
import argparse
import json
import os
import signal
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))

from documents import catalogue, made  # noqa: E402

MADE_DOCUMENTS = 60000


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP."""


def on_interrupt(number, _frame):
    raise Interrupted(signal.Signals(number).name)


def source_of(number=None):
    """What is published, [(key, value)], and its name: Debian's catalogue, where the machine has one."""
    documents, source = catalogue(), "Debian's catalogue"
    if not documents:
        documents, source = made(MADE_DOCUMENTS), "made documents"
    return documents[:number], source


def summary(runs):
    return {name: {"median": statistics.median(run[name] for run in runs), "min": min(run[name] for run in runs),
                   "max": max(run[name] for run in runs)} for name in runs[0]}


def print_figures(figures):
    width = max(48, 2 + max(map(len, figures)))
    print(f"{'':<{width}}{'median':>12}   min – max")
    for name, figure in figures.items():
        digits = 0 if figure["median"] >= 1000 else 2
        low, high = f"{figure['min']:,.{digits}f}", f"{figure['max']:,.{digits}f}"
        print(f"{name:<{width}}{figure['median']:>12,.{digits}f}   {low} – {high}")


def command(description, options, run_all, runs=3):
    """Ends with the exit code. `options`: {flag: what argparse takes for it}; run_all(arguments) → what is said of the
    runs, {name: value}, and the runs, [{figure: value}]."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), default=ROOT / "build" / "release")
    parser.add_argument("--runs", type=int, default=runs)
    for flag, words in options.items():
        parser.add_argument(flag, **words)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_interrupt)
    try:
        said, rows = run_all(arguments)
    except Interrupted as name:
        print(f"interrupted by {name}", file=sys.stderr)
        sys.exit(130)
    said = {**said, "runs": len(rows), "cpus": os.cpu_count(), "load at the end": round(os.getloadavg()[0], 1)}
    if arguments.output == "json":
        print(json.dumps({**said, "figures": summary(rows)}, indent=2, ensure_ascii=False))
    else:
        print(", ".join(f"{name} {value}" for name, value in said.items()))
        print_figures(summary(rows))
