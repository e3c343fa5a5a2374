"""A step of training (forwards, backwards, optimiser) of the same networks: Cupola against PyTorch, alternating A B B A.

Usage: bench.py CUPOLA_BINARY [--workloads mlp,resnet8] [--rounds 4] [--threads 2] [--modes eager,best,compile] [--precision f32]
    [--python PYTHON] [--write] [--missing]
What runs is the example train_steps of crates/nets, which lies beside the program: cargo build --release --workspace --example train_steps.
Needs torch and torchvision in that Python. Prints a table and, with --write, puts each workload's row into results.json.
--precision bf16 holds ours against torch.autocast.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import turns  # noqa: E402

WORKLOADS = ["mlp", "lstm", "gpt", "bert", "lenet5_modern", "resnet8", "resnet20", "resnet9", "resnet18", "mobilenet_v2", "resnet50", "vgg16"]


def main():
    parser = turns.arguments(__doc__, WORKLOADS)
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["eager", "best", "compile"])
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    options = parser.parse_args()
    theirs = {f"torch {mode}": [options.python, str(HERE / "torch_steps.py"), mode, str(options.threads), options.precision] for mode in options.modes}
    ours = [*turns.example(options), options.precision]
    rounded = ", bf16" if options.precision == "bf16" else ""
    rows = [(f"{workload}{rounded}", {"cupola": ours, **theirs}, workload) for workload in options.workloads]
    turns.run(HERE, ["torch", "torchvision"], options, rows)


main()
