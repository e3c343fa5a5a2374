#!/usr/bin/env bash
# The shared store against a real PostgreSQL: the tests of `cupola-watch` on both stores, then the story with CUPOLA_STORE, and a server that goes
# away and comes back while labels arrive. Starts a server of its own in a temporary folder and ends it. Needs PostgreSQL's programs (Debian:
# postgresql) and Python.
#
# Usage: postgresql.sh CUPOLA_BINARY
set -euo pipefail
binary="$(realpath "$1")"
root="$(cd "$(dirname "$0")/../../.." && pwd)"
programs="${POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin | tail -1)}"
folder="$(mktemp -d)"
port=54329
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
start() { as "$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -o "-p $port -k $folder -c listen_addresses=127.0.0.1" -w start >/dev/null; }
stop() { as "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true; }
trap 'stop; rm -rf "$folder"' EXIT
chmod 777 "$folder"
as "$programs/initdb" -D "$folder/data" -U cupola --auth=trust >/dev/null
start
url="postgres://cupola@127.0.0.1:$port/postgres"

echo "tests on both stores"
(cd "$root" && CUPOLA_TEST_POSTGRES="$url" cargo test --release --workspace --lib -- store registry labels)

echo "the story, registry and labels in PostgreSQL"
CUPOLA_STORE="$url" python3 "$root/crates/cupola/proof/story.py" "$binary" | tail -1 | head -c 120
echo

echo "a store that goes away and comes back"
export CUPOLA_HOME="$folder/home" CUPOLA_STORE="$url"
mkdir "$CUPOLA_HOME"
"$binary" train "$root/data/penguins.csv" target=species model=tree name=birds eval.importance=false -q >/dev/null
"$binary" registry add latest name=birds >/dev/null
"$binary" --json serve birds http=127.0.0.1:8977 log=on >"$folder/served" &
server=$!
trap 'kill $server 2>/dev/null || true; stop; rm -rf "$folder"' EXIT
until grep -q ready "$folder/served"; do sleep 0.1; done
post() { curl -s -o "$folder/answer" -w '%{http_code}' "http://127.0.0.1:8977$1" -H 'content-type: application/json' -d "$2"; }
example="$(curl -s http://127.0.0.1:8977/openapi.json | python3 -c 'import json,sys; print(json.dumps(next(iter(json.load(sys.stdin)["components"]["schemas"].values()))["example"]))')"
expect() { [ "$2" = "$3" ] && echo "  $1: $2" || { echo "  $1: found $2, wanted $3"; cat "$folder/answer"; exit 1; }; }
expect "label with the store up" "$(post /feedback '{"id": "a", "label": "Adelie"}')" 200
stop
expect "prediction with the store down" "$(post /predict "$example")" 200
noted() { curl -s http://127.0.0.1:8977/health | grep -c '"labels: ' || true; }
until [ "$(noted)" = 1 ]; do sleep 0.2; done
echo "  the monitor says that it finds no labels"
expect "label with the store down" "$(post /feedback '{"id": "b", "label": "Adelie"}')" 503
start
expect "label with the store back" "$(post /feedback '{"id": "c", "label": "Gentoo"}')" 200
until [ "$(noted)" = 0 ]; do sleep 0.2; done
echo "  and that it finds them again"
kept="$(as "$programs/psql" -h 127.0.0.1 -p $port -U cupola -d postgres -Atc "select string_agg(id, ',' order by seq) from labels where name = 'birds'")"
expect "labels that are kept" "$kept" "a,c"
kill -TERM $server
wait $server
echo "all as promised"
