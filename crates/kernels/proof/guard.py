"""Whether kernels have become slower, without a stopwatch: the instructions of one call of each, counted by Callgrind.

Usage: guard.py [--kernels product_small,lstm] [--write]
Builds the example `guard` and runs each of its kernels as plain Rust and with AVX2; Valgrind knows no AVX-512. A count may grow by 3 % over
the one in instructions.json, which --write renews: look at the difference before it is committed. Counts are those of one compiler, and that
is written beside them. Where there is AVX-512 its time as a share of AVX2's, taken in turns, may not exceed the share in the file, which
is three tenths above what was measured. Last, no instruction of a register may have stayed a call: the compiler inlines into a kernel only what
is marked so, and one closure that it did not cost a kernel nine tenths of its speed. Needs valgrind and nm.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COUNTS = HERE / "instructions.json"
LEVELS = ["plain", "avx2"]
GROWTH = 1.03
SLACK = 1.3


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE).stdout


def build():
    """The example, and the library of kernels."""
    lines = output("cargo", "build", "--release", "-p", "cupola-kernels", "--example", "guard", "--message-format=json").splitlines()
    made = [message for message in map(json.loads, lines) if message["reason"] == "compiler-artifact"]
    library = next(name for message in made for name in message["filenames"] if re.search(r"libcupola_kernels[^/]*\.rlib$", name))
    return next(message["executable"] for message in made if message["target"]["name"] == "guard"), library


def count(guard, kernel, level):
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", "--toggle-collect=*kernel_under_guard*"]
    said = subprocess.run([*valgrind, guard, "count", kernel, level], capture_output=True, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", said)[1])


def share(guard, kernel):
    """The time of AVX-512 as a share of AVX2's; nothing where there is none of it."""
    times = json.loads(output(guard, "time", kernel) or "null")
    return times and times[1] / times[0]


def calls(library):
    """Instructions of registers that are functions of their own."""
    symbols = subprocess.run(["nm", "--demangle", library], capture_output=True, text=True).stdout
    return sorted({line.split("::")[-1] for line in symbols.splitlines() if "core::core_arch::" in line and "::_mm" in line})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=lambda text: text.split(","))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    guard, library = build()
    rows = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    written = {"commit": output("git", "rev-parse", "--short", "HEAD").strip(), "rustc": output("rustc", "--version").strip()}
    worse = [f"{name} is called, not inlined" for name in calls(library)]
    for kernel in options.kernels or output(guard, "list").split():
        before = rows.get(kernel, {})
        counts = {level: count(guard, kernel, level) for level in LEVELS}
        told = [f"{level} {new:>9}" + (f" ({new / before[level] - 1:+7.2%})" if before else "") for level, new in counts.items()]
        worse += [f"{kernel}: {level} grew from {before[level]} to {new}" for level, new in counts.items() if before and new > GROWTH * before[level]]
        wide, most = share(guard, kernel), before.get("avx512_share_most")
        if wide and most and wide > most:
            wide = share(guard, kernel)  # The machine may have been busy.
            worse += [f"{kernel}: avx512 takes {wide:.2f} of avx2's time, at most {most} is allowed"] if wide > most else []
        told += [f"avx512 takes {wide:.2f} of avx2's time" + (f" (at most {most})" if most else "")] if wide else []
        other = before and before["rustc"] != written["rustc"]
        print(f"{kernel:24} {'  '.join(told)}{'  counted before with ' + before['rustc'] if other else ''}", flush=True)
        rows[kernel] = {**written, **counts, "avx512_share_most": round(SLACK * wide, 2) if wide else most}
    if options.write:
        COUNTS.write_text(json.dumps(rows, indent=1) + "\n")
    elif worse:
        sys.exit("\n".join(worse))


main()
