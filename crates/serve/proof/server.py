"""A small model, and a real server of it: what the proofs here share."""

import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path


def table(path, seed=1, rows=300):
    """Two numbers and a class that hangs on them."""
    draw = random.Random(seed)
    lines = ["a,b,c"]
    for _ in range(rows):
        a, b = draw.random(), draw.random()
        lines.append(f"{a:.4f},{b:.4f},{'yes' if a + b / 2 + draw.random() > 1.2 else 'no'}")
    Path(path).write_text("\n".join(lines) + "\n")
    return str(path)


def runner(binary, home):
    """Calls the program with words; what it prints comes back."""
    environment = {**os.environ, "CUPOLA_HOME": str(home)}
    return lambda *words: subprocess.run([binary, *words], env=environment, check=True, capture_output=True, text=True)


def train(binary, home):
    """The model `small` of the registry."""
    run = runner(binary, home)
    run("train", table(Path(home, "table.csv")), "target=c", "model=tree", "name=small", "eval.importance=false", "-q")
    run("registry", "add", "1", "name=small")
    return run


class Server:
    """`cupola serve` on a free port until the block ends."""

    def __init__(self, binary, home, *words, core=None, files=None, errors=subprocess.DEVNULL):
        pin = ["taskset", "-c", str(core)] if core is not None else []
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        command = [*pin, binary, "--json", "serve", *words]
        if not any(word.startswith("http=") for word in words):
            command.append("http=127.0.0.1:0")
        environment = {**os.environ, "CUPOLA_HOME": str(home)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=limit)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"no server: {' '.join(command)}")
        self.address = json.loads(line)["address"]
        self.host, port = self.address.rsplit(":", 1)
        self.port, self.pid = int(port), self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()

    def end(self, how=signal.SIGTERM, patience=30):
        """Exit code and seconds from the signal to the end."""
        began = time.monotonic()
        self.process.send_signal(how)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return code, time.monotonic() - began

    def connect(self, timeout=30):
        made = socket.create_connection((self.host, self.port), timeout)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, method, path, body=None, headers=None, timeout=30):
        """Status, headers and body of one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
        connection.close()
        return reply.status, dict((name.lower(), value) for name, value in reply.getheaders()), text

    def predict(self, row, **more):
        return self.ask("POST", "/predict", json.dumps(row), {"content-type": "application/json"}, **more)

    def kilobytes(self, field="VmRSS"):
        """A line of the process's status: VmRSS is what it holds in memory, VmHWM the most it held."""
        return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])

    def forget_peak(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def counter(self, name):
        """The sum of a metric's series."""
        text = self.ask("GET", "/metrics")[2]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{re.escape(name)}[{{ ]", line))
