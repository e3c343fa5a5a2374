"""Tables of a real PostgreSQL and a real S3 server are the tables that the same rows in a file are.

Usage: sources.py CUPOLA_BINARY [--json FILE]
       sources.py --serve, for the tests of crates/data that ask real servers: says the variables that they go by, and waits for the end of its input

Needs PostgreSQL's programs (Debian: postgresql) and `pip install "moto[server]" boto3`. Adult's 32,561 census rows are put into a database (typed
columns, missing cells as null), into a bucket whole and in four parts, and lie in a file. Then each source is profiled, compared row by row with the
file, and trained from; a second read of an object must not fetch it again, a changed object must be fetched again, and no password may stand in
anything that is printed or kept. Requests to S3 go through a door that computes each signature again, by the rules and not by a library
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). Connections with the database are plain, encrypted, and encrypted with
a certificate that is checked.

Every claim is checked; what does not hold ends it with exit code 1.
"""

import argparse
import csv
import gzip
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

ROOT = Path(__file__).resolve().parents[3]
PASSWORD, SECRET, KEY, REGION = "pg-s3cret-word", "s3-s3cret-word", "AKIAPROOF", "eu-central-1"
NUMBERS = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def hold(what, holds, more=""):
    print(f"{'ok  ' if holds else 'FAIL'} {what} {more}".rstrip(), flush=True)
    if not holds:
        sys.exit(1)


class Database:
    """A PostgreSQL of its own, with a password and a certificate for localhost."""

    def __init__(self, folder):
        self.folder, self.port = Path(folder) / "pg", free_port()
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        self.programs = programs[-1] if programs else Path(shutil.which("initdb") or "initdb").parent
        self.folder.mkdir()
        self.user = None
        if os.getuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
            os.chmod(folder, 0o755)
        (self.folder / "word").write_text(PASSWORD)
        os.chmod(self.folder / "word", 0o644)
        self.run("initdb", "-D", self.folder / "data", "-U", "ann", "-A", "scram-sha-256", f"--pwfile={self.folder / 'word'}")
        data = self.folder / "data"
        self.certificate = self.folder / "root.crt"
        # An authority, and a certificate of the server that it signs: one that signs itself is none of a server to strict readers.
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        authority = self.folder / "root.key"
        self.run(*new, "-subj", "/CN=authority", "-keyout", authority, "-out", self.certificate, own=False)
        self.run(
            *new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", self.certificate, "-CAkey", authority, "-keyout", data / "server.key", "-out", data / "server.crt", own=False,
        )
        os.chmod(self.certificate, 0o644)
        self.run("pg_ctl", "-D", data, "-w", "-l", self.folder / "log", "-o", f"-p {self.port} -k {self.folder} -c ssl=on", "start")

    def run(self, program, *words, own=True):
        program = str(self.programs / program) if own else program
        demote = {"user": self.user.pw_uid, "group": self.user.pw_gid} if self.user else {}
        subprocess.run([program, *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, **demote)

    def sql(self, text, given=None):
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        words = ["psql", "-v", "ON_ERROR_STOP=1", "-q", "-h", "localhost", "-p", str(self.port), "-U", "ann", "postgres", "-c", text]
        subprocess.run(words, check=True, env=environment, input=given, text=True)

    def url(self, password=True, more=""):
        return f"postgres://ann{':' + PASSWORD if password else ''}@localhost:{self.port}/postgres{more}"

    def stop(self):
        self.run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")


class Door(http.server.BaseHTTPRequestHandler):
    """Lets requests through whose signatures are right."""

    protocol_version = "HTTP/1.1"
    asked, port = [], 0

    def do_GET(self):
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if not self.is_signed(parts.path, dict(query)):
            return self.answer(403, {}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        inner = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        inner.request("GET", self.path, headers={k: v for k, v in self.headers.items() if k.lower() in ("if-none-match", "host")})
        answer = inner.getresponse()
        body = answer.read()
        self.asked.append((parts.path, answer.status))
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("etag", "content-type", "x-amz-bucket-region")}
        self.answer(answer.status, kept, body)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_signed(self, path, query):
        given = query.pop("X-Amz-Signature", None)
        stamp, scope = query.get("X-Amz-Date", ""), query.get("X-Amz-Credential", "").split("/", 1)[-1]
        listed = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(query.items()))
        request = "\n".join(["GET", path, listed, f"host:{self.headers['host']}", "", "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return given == hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def log_message(self, *_):
        pass


class Bucket:
    """moto's server behind the door."""

    def __init__(self):
        import boto3

        self.inner, self.port = free_port(), free_port()
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.inner)]
        self.server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            time.sleep(0.2)
            with socket.socket() as it:
                if it.connect_ex(("127.0.0.1", self.inner)) == 0:
                    break
        Door.port = self.inner
        self.door = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Door)
        threading.Thread(target=self.door.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{self.inner}", aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name=REGION
        )
        self.client.create_bucket(Bucket="census", CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(self, key, body):
        self.client.put_object(Bucket="census", Key=key, Body=body)

    def stop(self):
        self.door.shutdown()
        self.server.terminate()


class Proof:
    def __init__(self, binary, folder, environment):
        self.binary, self.folder, self.environment, self.printed = binary, folder, environment, []

    def cupola(self, *words, codes=(0,), **more):
        environment = {**self.environment, **more}
        ran = subprocess.run([self.binary, "--json", *words], env=environment, cwd=self.folder, capture_output=True, text=True)
        self.printed.append(ran.stdout + ran.stderr)
        if ran.returncode not in codes:
            hold(f"cupola {' '.join(words)}", False, f"exit code {ran.returncode}: {ran.stdout[-1500:]}{ran.stderr[-1500:]}")
        return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]

    def cells(self, source):
        """In the types that Parquet keeps; how many lie on a page depends on how many come at once, so the file's bytes may differ."""
        out = self.folder / "out.parquet"
        self.cupola("data", "convert", source, str(out), "--force", PGPASSWORD=PASSWORD)
        self.cupola("data", "convert", str(out), str(self.folder / "out.csv"), "--force")
        return (self.folder / "out.csv").read_bytes()

    def refusal(self, *words, codes=(3,), **more):
        lines = self.cupola(*words, codes=codes, **more)
        return json.dumps(lines[-1]) if lines else self.printed[-1]

    def train(self, name, source, *words, **more):
        began = time.perf_counter()
        self.cupola("train", source, *words, "target=income", "model=gbdt", "model.n_estimators=60", f"name={name}", "eval.importance=false", **more)
        seconds = time.perf_counter() - began
        run = sorted(Path(self.environment["CUPOLA_HOME"], "runs").glob(f"*-{name}"))[-1]
        report = json.loads((run / "report.json").read_text())
        return {
            "rows": [file["rows_read"] for file in report["data"]["files"]],
            "scores": {score["name"]: score["test"]["value"] for score in report["targets"][0]["scores"]},
            "kinds": {column["name"]: column["kind"] for column in report["data"]["columns"]},
            "seconds": round(seconds, 2),
            "run": run,
        }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary", nargs="?")
    arguments.add_argument("--json")
    arguments.add_argument("--serve", action="store_true")
    arguments = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cupola-sources-"))
    database, bucket = Database(folder), Bucket()
    try:
        if arguments.serve:
            load(folder, database, bucket)
            print(f"CUPOLA_TEST_POSTGRES={database.url()} CUPOLA_TEST_S3=http://127.0.0.1:{bucket.port}", flush=True)
            sys.stdin.read()
        else:
            prove(arguments, folder, database, bucket)
    finally:
        database.stop()
        bucket.stop()
        shutil.rmtree(folder, ignore_errors=True)


def load(folder, database, bucket):
    rows = list(csv.reader(gzip.open(ROOT / "data/adult.csv.gz", "rt")))
    head, rows = rows[0], rows[1:]
    lines = [",".join(head), *(",".join("" if cell.strip() in ("", "?") else f'"{cell.strip()}"' if "," in cell else cell.strip() for cell in row) for row in rows)]
    (folder / "adult.csv").write_text("\n".join(lines) + "\n")
    types = [f'"{name}" {"int" if name in NUMBERS else "text"}' for name in head]
    database.sql(f"create table people ({', '.join(types)}, row_id serial primary key)")
    named = ", ".join(f'"{name}"' for name in head)
    database.sql(f"copy people ({named}) from stdin csv header", "\n".join(lines) + "\n")
    database.sql(f"create view adult as select {named} from people order by row_id")
    bucket.put("adult.csv.gz", gzip.compress((folder / "adult.csv").read_bytes()))
    step = -(-len(rows) // 4)
    for part in range(4):
        bucket.put(f"parts/adult-{part}.csv", "\n".join([lines[0], *lines[1 + part * step : 1 + (part + 1) * step]]) + "\n")
    bucket.put("parts/notes.txt", "no table")
    return len(rows)


def prove(arguments, folder, database, bucket):
    home = folder / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "AWS_", "CUPOLA"))}
    environment |= {"CUPOLA_HOME": str(home), "HOME": str(folder), "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    environment |= {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{bucket.port}"}
    proof = Proof(str(Path(arguments.binary).resolve()), folder, environment)
    rows = load(folder, database, bucket)

    file = proof.train("file", "adult.csv")
    found = {
        "postgres": proof.train("postgres", database.url(), "table=adult"),
        "s3": proof.train("s3", "s3://census/adult.csv.gz"),
        "s3 parts": proof.train("parts", "s3://census/parts/adult-*.csv"),
    }
    hold("the file is read whole", file["rows"] == [rows], f"{rows} rows, {file['seconds']} s")
    for name, run in found.items():
        hold(f"{name}: as many rows", run["rows"] == [rows], f"{run['seconds']} s")
        hold(f"{name}: the same kinds of columns", run["kinds"] == file["kinds"])
        hold(f"{name}: the same scores on test rows", run["scores"] == file["scores"], str({k: round(v, 4) for k, v in list(run["scores"].items())[:3]}))

    pairs = [("s3", "s3://census/adult.csv.gz"), ("s3 parts", "s3://census/parts/adult-{0..3}.csv"), ("postgres", database.url(False, "?table=adult"))]
    for name, source in pairs:
        lines = proof.cupola("data", "profile", source, PGPASSWORD=PASSWORD)
        own = proof.cupola("data", "profile", "adult.csv")
        strip = lambda lines: [{k: v for k, v in line.items() if k in ("rows", "columns", "associations", "duplicates")} for line in lines if "columns" in line]
        hold(f"{name}: the same profile", strip(lines) and strip(lines) == strip(own))
        hold(f"{name}: the same cells", proof.cells(source) == proof.cells("adult.csv"), "(as Parquet, and that as text)")

    joined = "select data.*, other.n from data join other on data.education = other.education"
    database.sql("create table other as select education, count(*) as n from people group by education")
    lines = proof.cupola("data", "profile", "s3://census/adult.csv.gz", f"sql={joined}", f"data.tables.other={database.url(True, '?table=other')}")
    hold("a query joins an object with a table of the database", any(line.get("rows") == rows for line in lines))
    model = str(found["s3"]["run"])
    answers = folder / "answers.csv"
    proof.cupola("predict", model, database.url(), "sheet=adult", "-o", str(answers))
    hold("predict reads a database", sum(1 for _ in open(answers)) == rows + 1)
    proof.cupola("eval", model, "s3://census/parts/")
    hold("eval reads a folder of objects", True)

    before = len(Door.asked)
    proof.cupola("data", "profile", "s3://census/adult.csv.gz")
    hold("an object that is known is not sent again", {status for _, status in Door.asked[before:]} == {304}, str(Door.asked[before:]))
    bucket.put("adult.csv.gz", gzip.compress(b"x,y\n1,2\n3,4\n"))
    lines = proof.cupola("data", "profile", "s3://census/adult.csv.gz")
    hold("a changed object is", any(line.get("rows") == 2 for line in lines))

    certificate = f"sslrootcert={database.certificate}"
    for name, more, held in [
        ("plain", "?table=other&sslmode=disable", True),
        ("encrypted", "?table=other&sslmode=require", True),
        ("encrypted, certificate checked", f"?table=other&sslmode=verify-full&{certificate}", True),
        ("a certificate of nobody known is refused", "?table=other&sslmode=verify-full", False),
    ]:
        if held:
            proof.cupola("data", "profile", database.url(True, more))
            hold(f"connection: {name}", True)
        else:
            hold(f"connection: {name}", "certificate" in proof.refusal("data", "profile", database.url(True, more)))

    (folder / ".pgpass").write_text(f"localhost:{database.port}:*:ann:{PASSWORD}\n")
    os.chmod(folder / ".pgpass", 0o600)
    proof.cupola("data", "profile", database.url(False, "?table=other"))
    hold("the password of ~/.pgpass is used", True)
    (folder / ".pgpass").unlink()

    for words, more, wanted in [
        (["data", "profile", database.url(False, "?table=other")], {}, "PGPASSWORD"),
        (["data", "profile", database.url().replace(PASSWORD, "wrong-" + PASSWORD) + "?table=other"], {}, "password authentication failed"),
        (["data", "profile", database.url().replace("/postgres", "/nothing")], {}, "psql -l"),
        (["data", "profile", database.url(True, "?table=adlt")], {}, "did you mean adult?"),
        (["data", "profile", database.url()], {}, "name it: data.sheet="),
        (["data", "profile", "s3://nowhere/a.csv"], {}, "no bucket nowhere"),
        (["data", "profile", "s3://census/a.csv"], {}, "no such object"),
        (["data", "profile", "s3://census/parts/b-*.csv"], {}, "no such file"),
        (["data", "profile", "s3://census/adult.csv.gz"], {"AWS_SECRET_ACCESS_KEY": "another"}, "SignatureDoesNotMatch"),
        (["data", "profile", "s3://census/adult.csv.gz"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "AWS_ENDPOINT_URL"),
        (["data", "profile", "https://census/adult.csv.gz"], {}, "a URL of https"),
    ]:
        told = proof.refusal(*words, **more)
        hold(f"refused with what helps: {wanted}", wanted in told, told if wanted not in told else "")

    kept = [path for path in folder.rglob("*") if path.is_file() and folder / "pg" not in path.parents]
    secrets = [PASSWORD.encode(), SECRET.encode()]
    hold("no file holds a password", not [path for path in kept if any(secret in path.read_bytes() for secret in secrets)], f"({len(kept)} files)")
    hold("nothing that was printed holds one", not any(secret.decode() in text for secret in secrets for text in proof.printed), f"({len(proof.printed)} calls)")
    if arguments.json:
        told = {name: {k: v for k, v in run.items() if k != "run"} for name, run in {"file": file, **found}.items()}
        Path(arguments.json).write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
