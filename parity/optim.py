"""Writes crates/nets/parity/optim.json: where 20 steps of each optimiser end, and the rates of each schedule.

Run by hand: python parity/optim.py (torch 2.9 or later, numpy). SGD, Adam, AdamW, RMSprop and the schedules are PyTorch's; Lion and Muon
are their papers' published code, written out below, Muon's iteration in f32 in place of bfloat16.
"""

import json
import math
import pathlib

import torch

SHAPES = [[4, 3], [4], [5, 4], [5], [3, 5, 1, 2], [3], [2, 3], [2]]
MATRICES = [2, 4]  # neither first nor last layer, no bias
STEPS = 20
sizes = [math.prod(shape) for shape in SHAPES]
starts = [sum(sizes[:k]) for k in range(len(sizes))]


def first_weights():
    flat = torch.tensor([math.cos(0.3 * i) for i in range(sum(sizes))], dtype=torch.float64).float()
    return [flat[s : s + n].reshape(shape).clone() for s, n, shape in zip(starts, sizes, SHAPES)]


def gradients(step):
    values = [math.sin(0.7 * i + 1.3 * step) * (1 + 0.1 * i) for i in range(sum(sizes))]
    flat = torch.tensor(values, dtype=torch.float64).float()
    return [flat[s : s + n].reshape(shape) for s, n, shape in zip(starts, sizes, SHAPES)]


class Lion:
    """Chen et al. 2023, program 1."""

    def __init__(self, params, lr, betas, wd):
        self.params, self.lr, self.betas, self.wd = params, lr, betas, wd
        self.m = [torch.zeros_like(p) for p in params]

    def step(self, grads):
        b1, b2 = self.betas
        for p, g, m, wd in zip(self.params, grads, self.m, self.wd):
            p.mul_(1 - self.lr * wd)
            p.add_(torch.sign(m * b1 + g * (1 - b1)), alpha=-self.lr)
            m.mul_(b2).add_(g, alpha=1 - b2)


def newton_schulz(g, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.size(0) > g.size(1) else g
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.size(0) > g.size(1) else x


class Muon:
    """Jordan et al. 2024, `muon_update` of the reference code, with AdamW for the rest."""

    def __init__(self, params, lr, momentum, nesterov, wd, share):
        self.params, self.lr, self.momentum, self.nesterov, self.wd = params, lr, momentum, nesterov, wd
        self.buffers = [torch.zeros_like(p) for p in params]
        rest = [k for k in range(len(params)) if k not in MATRICES]
        groups = [{"params": [params[k]], "weight_decay": wd[k]} for k in rest]
        self.rest = torch.optim.AdamW(groups, lr=lr * share, betas=(0.9, 0.95))

    def step(self, grads):
        for p, g in zip(self.params, grads):
            p.grad = g.clone()
        self.rest.step()
        for k in MATRICES:
            p, g, m = self.params[k], grads[k].clone(), self.buffers[k]
            m.lerp_(g, 1 - self.momentum)
            update = g.lerp_(m, self.momentum) if self.nesterov else m
            update = update.reshape(len(update), -1)
            update = newton_schulz(update) * max(1, update.size(0) / update.size(1)) ** 0.5
            p.mul_(1 - self.lr * self.wd[k])
            p.add_(update.reshape(p.shape), alpha=-self.lr)


def run(optimizer, params, clip=None):
    for step in range(STEPS):
        grads = gradients(step)
        if isinstance(optimizer, torch.optim.Optimizer):
            for p, g in zip(params, grads):
                p.grad = g.clone()
            if clip:
                torch.nn.utils.clip_grad_norm_(params, clip)
            optimizer.step()
        else:
            optimizer.step(grads)
    return [float(f"{v:.8g}") for p in params for v in p.detach().flatten().tolist()]


def decays(wd, everything=False):
    return [wd if everything or len(shape) > 1 else 0.0 for shape in SHAPES]


def groups(params, wd, everything=False):
    return [{"params": [p], "weight_decay": d} for p, d in zip(params, decays(wd, everything))]


optimizers = []


def case(name, rate, make, clip=None, **settings):
    params = first_weights()
    if clip:
        settings["clip_norm"] = str(clip)
    weights = run(make(params), params, clip)
    optimizers.append({"name": name, "rate": rate, "settings": settings, "weights": weights})


O = torch.optim
case("sgd plain", 0.01, lambda p: O.SGD(p, lr=0.01), optimizer="sgd", momentum="0")
case("sgd momentum l2 clipped", 0.01, lambda p: O.SGD(groups(p, 0.1), lr=0.01, momentum=0.9), clip=2.5,
     optimizer="sgd", nesterov="false", weight_decay="0.1")
case("sgd nesterov all decay", 0.01, lambda p: O.SGD(groups(p, 0.1, True), lr=0.01, momentum=0.8, nesterov=True),
     optimizer="sgd", momentum="0.8", weight_decay="0.1", decay_all="true")
case("adam l2", 0.01, lambda p: O.Adam(groups(p, 0.2), lr=0.01), optimizer="adam", weight_decay="0.2")
case("adam betas", 0.02, lambda p: O.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-3), optimizer="adam", betas="[0.8, 0.95]", eps="1e-3")
case("adamw", 0.01, lambda p: O.AdamW(groups(p, 0.01), lr=0.01), optimizer="adamw")
case("rmsprop", 0.01, lambda p: O.RMSprop(groups(p, 0.1), lr=0.01), optimizer="rmsprop", weight_decay="0.1")
case("rmsprop momentum", 0.01, lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5),
     optimizer="rmsprop", alpha="0.9", momentum="0.5")
case("lion", 0.01, lambda p: Lion(p, 0.01, (0.9, 0.99), decays(0.01)), optimizer="lion")
case("muon", 0.02, lambda p: Muon(p, 0.02, 0.95, True, decays(0.01), 0.05), optimizer="muon")
case("muon plain momentum", 0.02, lambda p: Muon(p, 0.02, 0.9, False, decays(0.1), 0.5),
     optimizer="muon", momentum="0.9", nesterov="false", weight_decay="0.1", muon_adamw="0.5")

TOTAL = 40
schedules = []


def rates(name, make, **settings):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = O.SGD([p], lr=0.5)
    scheduler = make(optimizer)
    found = []
    for _ in range(TOTAL):
        found.append(float(f"{optimizer.param_groups[0]['lr']:.12g}"))
        optimizer.step()
        scheduler.step()
    schedules.append({"name": name, "settings": {"lr": "0.5", **settings}, "rates": found})


def warmed(steps, make):
    def build(optimizer):
        up = S.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
        return S.SequentialLR(optimizer, [up, make(optimizer)], milestones=[steps])
    return build


S = torch.optim.lr_scheduler
rates("constant", lambda o: S.ConstantLR(o, factor=1.0), schedule="constant", warmup="0")
rates("step", lambda o: S.StepLR(o, 12, gamma=0.2), schedule="step", step_size="0.3", gamma="0.2", warmup="0")
rates("cosine", lambda o: S.CosineAnnealingLR(o, TOTAL, eta_min=0.01), schedule="cosine", lr_min="0.01", warmup="0")
rates("cosine warmed", warmed(8, lambda o: S.CosineAnnealingLR(o, TOTAL - 8)), schedule="cosine", warmup="0.2")
rates("linear", lambda o: S.LinearLR(o, 1.0, 0.0, TOTAL), schedule="linear", warmup="0")
rates("linear warmed", warmed(5, lambda o: S.LinearLR(o, 1.0, 0.0, TOTAL - 5)), schedule="linear", warmup="5")
rates("one-cycle", lambda o: S.OneCycleLR(o, 0.5, TOTAL), schedule="one-cycle")
rates("one-cycle other", lambda o: S.OneCycleLR(o, 0.5, TOTAL, pct_start=0.1, div_factor=10, final_div_factor=100),
      schedule="one-cycle", pct_start="0.1", div_factor="10", final_div_factor="100")
rates("noam", lambda o: S.LambdaLR(o, lambda s: 512**-0.5 * min((s + 1) ** -0.5, (s + 1) * 10**-1.5)),
      schedule="noam", d_model="512", warmup="10")
rates("noam normalised", lambda o: S.LambdaLR(o, lambda s: min((s + 1) ** -0.5, (s + 1) * 10**-1.5) / 10**-0.5),
      schedule="noam", warmup="10")

path = pathlib.Path(__file__).parent.parent / "crates" / "nets" / "parity" / "optim.json"
path.parent.mkdir(exist_ok=True)
lines = {"optimizers": optimizers, "schedules": schedules}
text = ",\n".join(f'"{key}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]" for key, cases in lines.items())
path.write_text("{\n" + text + "\n}\n")
