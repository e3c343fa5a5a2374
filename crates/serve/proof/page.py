"""Opens the monitor's page in a headless Chromium and uses it: no console errors, nothing from elsewhere, buttons that do what they say.

Usage: page.py CUPOLA_BINARY [--shots docs] [--chromium chromium]

A model of Adult's rows is deployed with tokens, asked for rows that drift, and labelled. The page is opened as an administrator, in light, dark,
and at the width of a phone; an alarm is opened and stays open when the page looks again; version 1 is promoted and taken back by its buttons.
Who may only look is told so. With `--shots` pictures of it are written there. Exits 1 when something is not as it should be. Needs Chromium
(Debian: `apt-get install chromium`) and Python's standard library.
"""

import argparse
import base64
import csv
import gzip
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = "income"
NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
ADMIN, LOOKER = "admin-token-of-a-proof", "look-only-token-of-a-proof"


class Browser:
    """As much of the DevTools protocol as this needs: one page, a WebSocket (RFC 6455) without fragments from us."""

    def __init__(self, program, folder):
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for line in self.process.stderr:
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line):
                break
        port = int(found[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/json")
        pages = [page for page in json.loads(connection.getresponse().read()) if page["type"] == "page"]
        path = pages[0]["webSocketDebuggerUrl"].split(str(port), 1)[1]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        self.buffer = self.buffer.split(b"\r\n\r\n", 1)[1]
        self.number, self.complaints, self.asked = 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def take(self, count):
        while len(self.buffer) < count:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the browser is gone")
            self.buffer += part
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def message(self):
        whole = b""
        while True:
            first, second = self.take(2)
            length = second & 127
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            whole += self.take(length)
            if first & 128:
                return json.loads(whole)

    def send(self, method, **parameters):
        """Sends a call; its number, by which its answer is known."""
        self.number += 1
        body = json.dumps({"id": self.number, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        size = struct.pack(">BBH", 129, 254, len(body)) if len(body) >= 126 else struct.pack(">BB", 129, 128 | len(body))
        self.socket.sendall(size + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(body)))
        return self.number

    def call(self, method, **parameters):
        number = self.send(method, **parameters)
        while True:
            got = self.message()
            if got.get("id") == number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                return got["result"]
            self.hear(got)

    def hear(self, event):
        """Whatever the page complains of, and whatever it asks for."""
        said = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(said["exceptionDetails"].get("text", "") + str(said["exceptionDetails"].get("exception", {}).get("description")))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(said["entry"]["text"] + " " + said["entry"].get("url", ""))
            case "Network.requestWillBeSent":
                self.asked.append(said["request"]["url"])
            case "Page.javascriptDialogOpening":
                # The call that opened it waits for its answer: nobody waits for this one's.
                self.send("Page.handleJavaScriptDialog", accept=True)

    def run(self, script):
        got = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{script}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def open(self, url):
        self.run("window.isOld = true")
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && !window.isOld", "the page")

    def until(self, script, what, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.run(f"Boolean({script})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}; the page says: {self.run('document.body.innerText')[:2000]}")

    def shot(self, path, height):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1})
        path.write_bytes(base64.b64decode(picture["data"]))

    def look_like(self, width, scheme):
        self.width = width
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def be(self, token):
        password = base64.b64encode(f"proof:{token}".encode()).decode()
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {password}"})


def request(address, method, path, body=None, token=ADMIN):
    connection = http.client.HTTPConnection(*address.split(":"), timeout=60)
    connection.request(method, path, body and json.dumps(body), {"content-type": "application/json", "authorization": f"Bearer {token}"})
    reply = connection.getresponse()
    answer = reply.read()
    assert reply.status == 200, (path, reply.status, answer)
    return json.loads(answer)


def deploy(binary, home):
    """Two versions of a model, served with tokens."""
    with gzip.open(ROOT / "data/adult.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    random.Random(7).shuffle(rows)
    is_married = lambda row: row["marital_status"].strip() == "Married-civ-spouse"
    table = Path(home, "unmarried.csv")
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([row for row in rows if not is_married(row)][:6000])
    run = lambda *words: subprocess.run([binary, "-q", *words], env={**os.environ, "CUPOLA_HOME": home}, check=True, capture_output=True)
    run("train", str(table), f"target={TARGET}", "model=gbdt", "name=adult", "monitor.window=250", "monitor.cooldown=0")
    run("registry", "add", "latest", "name=adult")
    run("train", str(table), f"target={TARGET}", "model=logistic", "name=adult", "monitor.window=250")
    run("registry", "add", "latest", "name=adult")
    tokens = Path(home, "tokens")
    tokens.write_text(f"proof predict,feedback,admin,metrics {ADMIN}\nlooker metrics {LOOKER}\n")
    tokens.chmod(0o600)
    words = [binary, "--json", "serve", "adult", "http=127.0.0.1:0", "log=on", "refresh_s=0.1", f"tokens={tokens}"]
    server = subprocess.Popen(words, env={**os.environ, "CUPOLA_HOME": home}, stdout=subprocess.PIPE, text=True)
    address = json.loads(server.stdout.readline())["address"]
    rest = [row for row in rows if not is_married(row)][6000:]
    ask = lambda chosen: ask_all(address, chosen)
    calm = ask(rest[:1500])
    request(address, "POST", "/feedback", {"labels": calm})
    time.sleep(7)
    moved = ask([row for row in rows if is_married(row)][:1500])
    request(address, "POST", "/feedback", {"labels": moved[:800]})
    return server, address


def ask_all(address, rows):
    labels = []
    for start in range(0, len(rows), 25):
        part = rows[start : start + 25]
        cells = [{name: float(value) if name in NUMBERS else value.strip() for name, value in row.items() if name != TARGET} for row in part]
        answer = request(address, "POST", "/predict", {"rows": cells})
        labels += [{"id": f"{answer['id']}-{number + 1}", "label": row[TARGET].strip()} for number, row in enumerate(part)]
        time.sleep(0.01)
    return labels


def use(browser, address, shots):
    """Opens the page, looks and clicks; gives what was wrong."""
    page = f"http://{address}/monitor"
    browser.look_like(1180, "light")
    browser.be(ADMIN)
    browser.open(page)
    browser.until("document.querySelectorAll('details.alarm').length > 3", "alarms")
    browser.until("[...document.querySelectorAll('svg')].length >= 5 && document.querySelector('circle.live')", "charts with labels")
    for script in ("document.querySelectorAll('svg rect.drift.matters').length > 0", "document.body.innerText.includes('requests a second')", "document.body.innerText.includes('Decisions')"):
        assert browser.run(script), script
    browser.run("[...document.querySelectorAll('details.alarm')].at(-1).open = true")
    stamp = browser.run("document.querySelector('#live section').dataset.stamp = 'old'")
    browser.until("document.querySelector('#live section').dataset.stamp !== 'old'", "the page to look again")
    assert stamp == "old" and browser.run("[...document.querySelectorAll('details.alarm')].at(-1).open"), "an opened alarm stays open"
    height = browser.run("document.documentElement.scrollHeight")
    if shots:
        browser.run("document.querySelectorAll('details.alarm').forEach((one, place) => one.open = place < 1)")
        browser.shot(shots / "monitor.png", 2300)
        browser.look_like(1180, "dark")
        browser.shot(shots / "monitor-dark.png", 1500)
        browser.look_like(390, "light")
        assert browser.run("document.documentElement.scrollWidth") <= 390, "a phone need not scroll sideways"
        browser.shot(shots / "monitor-phone.png", 1900)
        browser.look_like(1180, "light")
    assert height > 1500, height
    version = lambda: browser.run("document.querySelector('header .about').innerText.match(/Version (\\d+)/)[1]")
    assert version() == "1"
    browser.run("document.querySelector('button[data-path$=promote]').click()")
    browser.until("document.getElementById('said').innerText === 'Done: version 2 answers.'", "the promotion")
    browser.until("document.querySelector('header .about').innerText.includes('Version 2')", "the page to show it")
    browser.run("document.querySelector('button[data-path$=rollback]').click()")
    browser.until("document.getElementById('said').innerText === 'Done: version 1 answers.'", "the way back")
    decided = [(one["kind"], one["number"], one["facts"].get("by")) for one in request(address, "GET", "/admin/models/adult")["decisions"] if one["kind"] in ("promote", "rollback")]
    assert decided == [("promote", 2, "proof"), ("rollback", 1, "proof")], decided
    complaints = list(browser.complaints)
    browser.be(LOOKER)
    browser.open(page)
    browser.run("document.querySelector('button[data-path$=promote]').click()")
    browser.until("document.getElementById('said').innerText.includes('wanted the role admin')", "a refusal")
    for path in ("/docs", "/"):
        browser.be(ADMIN)
        browser.open(f"http://{address}{path}")
    # The refusal itself is in the browser's log, once, and nothing else is.
    complaints += [text for text in browser.complaints[len(complaints) :] if "403" not in text]
    elsewhere = [url for url in browser.asked if not url.startswith((f"http://{address}/", "data:", "about:"))]
    return complaints + [f"asked {url}" for url in elsewhere]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--chromium", default="chromium")
    given = parser.parse_args()
    if not shutil.which(given.chromium):
        sys.exit(f"{given.chromium} is not there: apt-get install chromium, or name another with --chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        server, address = deploy(str(Path(given.binary).resolve()), home)
        browser = Browser(given.chromium, str(Path(home, "browser")))
        try:
            wrong = use(browser, address, given.shots)
        finally:
            browser.process.kill()
            browser.process.wait()
            server.send_signal(signal.SIGTERM)
        code = server.wait()
    print(json.dumps({"wrong": wrong, "server": code}))
    sys.exit(bool(wrong) or code)


if __name__ == "__main__":
    main()
