# Every target does its own set-up; a second run of any of them does none.
#   make test ARGS="-k tenant"     make test ARGS="-n 0 tests/unit/metering"

PYTHON ?= python3
BIN := .venv/bin
ROOTS := instrumentation metering storage collector_receiver console examples tests
EXTRAS := collector,embedded,alerts,otlp-grpc,demo,parquet

# The stamp is named by what it depends on, so a checkout of other requirements installs again.
# What is compiled is made with the install.
STAMP := .venv/.ready-$(shell cat pyproject.toml constraints.txt hatch_build.py \
    $(wildcard */spanmeter/*/*.c */spanmeter/*/*/*.c) | sha256sum | cut -c1-12)

.PHONY: venv demo docs test bench-overhead bench-ingest bench-queries bench-large bench-pages fuzz test-interop \
    test-matrix test-outage \
    check fmt clean
.DEFAULT_GOAL := test

venv: $(STAMP)

# pip comes from outside: Debian's python3 has venv but, without python3-venv, no ensurepip.
# uv installs in seconds what takes pip a minute; where it cannot, pip does the same.
$(STAMP):
	$(PYTHON) -m venv --without-pip .venv
	rm -f .venv/.ready-*
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --constraint constraints.txt pip uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    --editable '.[$(EXTRAS)]' --group dev \
	|| $(BIN)/python -m pip install --quiet --constraint constraints.txt \
	    --editable '.[$(EXTRAS)]' --group dev
	touch $@

demo: venv
	$(BIN)/spanmeter demo

# The documentation as a site, in build/site; a link that leads nowhere is an error.
docs: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	PYTHONPATH=tests $(BIN)/python -m documentation build/docs
	$(BIN)/zensical build --strict --clean --config-file mkdocs.yml

test: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	@PYTHONPATH=tests $(BIN)/python -m golden.environments
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# Older majors of the client libraries, each in an environment of its own: half a minute, and one
# more to make them. Not part of `test`: they come from the package index.
test-matrix: venv
	@PYTHONPATH=tests:examples $(BIN)/python -m matrix
	@PYTHONPATH=tests:examples $(BIN)/python -m matrix.suites

# Deaths and outages of a minute and a hundred times, which `test` has for moments and a few times.
test-outage: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	SPANMETER_TEST_OUTAGE_SECONDS=60 SPANMETER_TEST_KILLS=100 $(BIN)/python -m pytest -n 0 -rP $(ARGS) \
	    tests/integration/collector_receiver/test_durable_pipeline.py \
	    tests/integration/collector_receiver/faults/test_killed.py

# Senders of other makers: the OpenTelemetry Collector in Go through outages, JavaScript's exporters, Vercel's AI SDK.
# The Collector is built the first time, from Debian's packages, for which it takes root and some minutes.
test-interop: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	@PYTHONPATH=tests $(BIN)/python -m golden.environments
	@PYTHONPATH=tests $(BIN)/python -m interop.building
	$(BIN)/python -m pytest -n 0 tests/interop $(ARGS) \
	    tests/integration/collector_receiver/test_javascript_exporters.py
	$(BIN)/python -m pytest -n 0 tests/integration/dialects -k vercel

# The fuzz tests, for as long as you like: make fuzz SECONDS=3600.
SECONDS ?= 300
fuzz: venv
	SPANMETER_FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest -n 2 --timeout 0 tests -k fuzz $(ARGS)

# What metering adds to a call, beside other instrumentations; they have an environment of their own.
bench-overhead: venv
	test -d .venv-bench || $(BIN)/uv venv --quiet --seed .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --prerelease allow --editable . \
	    openai==3.52.0 opentelemetry-instrumentation-openai==0.62.4 \
	    opentelemetry-instrumentation-genai-openai==1.3b0 openinference-instrumentation-openai==0.1.66
	.venv-bench/bin/python benchmarks/overhead $(ARGS)

# Spans committed a second through the collector, beside raw COPY of the same rows: two minutes.
#   make bench-ingest ARGS="--rows 0 1000000 20000000 --only 512"
bench-ingest: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	PYTHONPATH=tests $(BIN)/python benchmarks/ingest $(ARGS)

# The questions a team asks, of the rollups and of the rows beside them; 20 million rows are made first, 100 million for
# bench-large. The plans go to build/bench-queries; the ledgers stay until `python -m databases stop`.
bench-queries: venv
	@PYTHONPATH=tests $(BIN)/python -m databases prepare
	PYTHONPATH=tests $(BIN)/python benchmarks/queries $(ARGS)

# Every page of the console over a ledger of bench-queries: ARGS="--dsn ...".
bench-pages: venv
	PYTHONPATH=tests $(BIN)/python benchmarks/pages $(ARGS)

bench-large: ARGS += --rows 100000000
bench-large: bench-queries

# Each check runs even where an earlier one fails: one run reports all there is to mend.
check: venv
	@status=0; \
	for tool in 'ruff check $(ROOTS)' 'ruff format --check $(ROOTS)' mypy pyright lint-imports; do \
	    echo "== $$tool"; $(BIN)/$$tool || status=1; \
	done; \
	exit $$status

fmt: venv
	$(BIN)/ruff check --fix $(ROOTS)
	$(BIN)/ruff format $(ROOTS)

clean:
	rm -rf .venv .venv-bench build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
