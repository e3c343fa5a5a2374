"""Does to real servers what networks do to them, and writes one table of how they bore it.

Usage: faults.py CUPOLA_BINARY [--only 16,17] [--python PYTHON] [--seconds 60] [--write]

The rows are those of TorchServe, Triton, BentoML, hyper, nginx, KServe and Kubernetes that other servers have failed: what a request may reach (16),
how large it may be (17, 18), slow clients (19), ten times the load that can be borne (20), models exchanged under load (21), the end under
load (22), memory over a million requests, and tokens, lines, labels and descriptors (B5). Each says what was wanted and what was found, and holds
or does not. Servers and load are pinned to a core each where that matters. `--write` renews docs/faults.json and docs/faults.md with the rows that
ran; the others stay as they were.

Needs wrk, slowhttptest, taskset and openssl; strace for the files that row 16 opens; for the rival of row 20 a PYTHON with fastapi,
uvicorn[standard], lightgbm and pandas. Exits 1 when a row does not hold.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import faults_change
import faults_input
import faults_load

ROOT = Path(__file__).resolve().parents[3]
ROWS = {
    "16": faults_input.paths,
    "17": faults_input.giants,
    "18": faults_input.forms,
    "19": faults_load.slow,
    "20": faults_load.overload,
    "21": faults_change.reloads,
    "22": faults_change.drains,
    "memory": faults_load.slope,
    "B5": faults_input.others,
}


def version(*command):
    try:
        text = subprocess.run(command, capture_output=True, text=True).stdout
        return text.strip().splitlines()[0] if text.strip() else ""
    except OSError:
        return "none"


def brief(value):
    """A figure as the table shows it; the cases of a row stand in the JSON."""
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {brief(one)}" for key, one in value.items() if key != "cases")
    if isinstance(value, list):
        return ", ".join(map(brief, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def markdown(report):
    about = report["about"]
    lines = [
        "# Faults that the server bears",
        "",
        "Written by `python3 crates/serve/proof/faults.py CUPOLA_BINARY --write`; each case and figure stands in [faults.json](faults.json).",
        "",
        f"Processor: {about['processor']}, {about['cores']} cores. Linux {about['linux']}, {about['wrk']}, slowhttptest, Python {about['python']}.",
        "",
        "| row | what was done | wanted | found | holds | commit |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        missed = f" (missed: {', '.join(row['notes'])})" if row.get("notes") and not row["holds"] else ""
        holds = {True: "yes", False: "**no**", None: ""}[row["holds"]]
        cells = [row["row"], row["what"], row["wanted"], brief(row["found"]) + missed, holds, row["commit"]]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def processor():
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--only", help="rows with commas: " + ", ".join(ROWS))
    parser.add_argument("--python", help="runs the rival of row 20; without it there is none")
    parser.add_argument("--seconds", type=int, default=60, help="how long load and slow clients last")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.binary, given.root = str(Path(given.binary).resolve()), ROOT
    commit = version("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    made = []
    for name in given.only.split(",") if given.only else ROWS:
        for row in ROWS[name](given):
            row["commit"] = commit
            made.append(row)
            print(json.dumps(row), flush=True)
        if given.write:
            write(made)
    missed = [row["row"] for row in made if row["holds"] is False]
    judged = [row for row in made if row["holds"] is not None]
    print(f"{len(judged) - len(missed)} of {len(judged)} hold" + (f"; missed: {', '.join(missed)}" if missed else ""), file=sys.stderr)
    sys.exit(bool(missed))


def write(made):
    path = ROOT / "docs/faults.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    ran = {row["row"] for row in made}
    rows = [row for row in old if row["row"] not in ran] + made
    order = list(ROWS)
    rows.sort(key=lambda row: order.index(row["row"]))
    about = {"processor": processor(), "cores": os.cpu_count(), "linux": platform.release(), "wrk": version("wrk", "-v").split(" [")[0], "python": platform.python_version()}
    report = {"about": about, "rows": rows}
    path.write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(report))


if __name__ == "__main__":
    main()
