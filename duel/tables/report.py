"""The duel's tables as README.md has them, from results.json."""

import statistics

from fetch import TABLES
from scores import HIGHER

START, END = "<!-- written by bench.py -->", "<!-- to here -->"
NAMES = {"cupola": "Cupola", "autogluon": "AutoGluon", "flaml": "FLAML", "lightgbm": "LightGBM", "sklearn": "scikit-learn"}


def ranks(values, is_score):
    """1 is best; equal values share the mean of their places; what failed comes last."""
    worth = [float("-inf") if value is None else value if is_score else -value for value in values]
    return [1 + sum(other > own for other in worth) + (sum(other == own for other in worth) - 1) / 2 for own in worth]


def value(known, name, system):
    # Five decimals: what differs less is equal.
    found = known["runs"].get(f"{name}/{system}", {}).get("scores")
    return None if found is None else float(f"{found[TABLES[name].metric]:.5g}")


def tables(known, systems, time):
    systems = [system for system in systems if any(f"{name}/{system}" in known["runs"] for name in TABLES)]
    names = [name for name in TABLES if sum(f"{name}/{system}" in known["runs"] for system in systems) > 1]
    if not names:
        return "No table was answered by two systems."
    # Who was not run on a table has no place there; places are among the others.
    there = {name: [system for system in systems if f"{name}/{system}" in known["runs"]] for name in names}
    placed = {name: dict(zip(there[name], ranks([value(known, name, system) for system in there[name]], HIGHER[TABLES[name].metric]))) for name in names}
    lines = [f"Of {len(names)} tables, {time} seconds, ranks in brackets; the best is bold:", ""]
    lines += row("table", "rows", "measure", *(NAMES[system] for system in systems)) + row(*["---"] * (3 + len(systems)))
    for name in names:
        cells = [cell(known, name, system, placed[name][system], min(placed[name].values())) if system in placed[name] else "not run" for system in systems]
        lines += row(f"{name}: {TABLES[name].what}", rows(known, name), TABLES[name].metric, *cells)
    means = [statistics.mean(places[system] for places in placed.values() if system in places) for system in systems]
    lines += row("**mean rank**", "", "", *(f"**{mean:.2f}**" if mean == min(means) else f"{mean:.2f}" for mean in means))
    lines += ["", "How far Cupola is ahead in the table's measure (negative: behind), with the interval of 95 % of the paired samples:", ""]
    rivals = [system for system in systems if system != "cupola"]
    lines += row("table", *(NAMES[system] for system in rivals)) + row(*["---"] * (1 + len(rivals)))
    for name in names:
        lines += row(name, *(pair(known, name, system) for system in rivals))
    told = [verdict(known, names, system) for system in rivals]
    lines += row("better, no difference to be seen, worse", *told)
    lines += ["", "Seconds to train (Cupola: the whole process with its report; the others: fit alone) and most memory, MB:", ""]
    lines += row("table", *(NAMES[system] for system in systems)) + row(*["---"] * (1 + len(systems)))
    for name in names:
        lines += row(name, *(cost(known["runs"].get(f"{name}/{system}", {})) for system in systems))
    lines += ["", "Versions: " + ", ".join(sorted({f"{package} {number}" for run in known["runs"].values() for package, number in run["versions"].items()})) + "."]
    return "\n".join(lines)


def row(*cells):
    return ["| " + " | ".join(cells) + " |"]


def rows(known, name):
    count = known["runs"].get(f"{name}/cupola", {}).get("rows")
    return f"{count['train'] + count['valid']:,} + {count['test']:,}" if count else ""


def cell(known, name, system, rank, best):
    run = known["runs"][f"{name}/{system}"]
    if "scores" not in run:
        return f"failed ({rank:g})"
    low, high = run["interval"]
    text = f"{value(known, name, system):.5g}"
    return f"{f'**{text}**' if rank == best else text} [{low:.4g}, {high:.4g}] ({rank:g})"


def pair(known, name, system):
    found = known["pairs"].get(f"{name}/{system}")
    return "" if found is None else f"{found['ahead']:+.3g} [{found['interval'][0]:+.3g}, {found['interval'][1]:+.3g}]"


def verdict(known, names, system):
    found = [known["pairs"][f"{name}/{system}"]["interval"] for name in names if f"{name}/{system}" in known["pairs"]]
    better, worse = sum(low > 0 for low, _ in found), sum(high < 0 for _, high in found)
    return f"{better}, {len(found) - better - worse}, {worse}"


def cost(run):
    return f"{run['fit_s']:.1f}, {run['peak_mb']:.0f}" if "scores" in run else "failed" if run else ""


def write(path, text):
    """Between the marks; the rest is written by hand."""
    whole = path.read_text()
    before, after = whole.split(START)[0], whole.split(END)[1]
    path.write_text(f"{before}{START}\n{text}\n{END}{after}")
