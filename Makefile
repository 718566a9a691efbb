# labtop: `make run` and `make test` are all a newcomer needs. `make help` lists the rest.

SERVICES := assets/scripts/services
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: help run test test-onnx services start stop status soak bench lint docs clean-deps

help:
	@echo "make run        fetch what is missing, build, open the dashboard"
	@echo "make test       fetch, start throw-away servers, run every test, stop the servers"
	@echo "make test-onnx  clippy and tests of what --features embed-onnx adds"
	@echo "make services   start PostgreSQL and Chroma (make services stop | status)"
	@echo "make lint       formatting and clippy"
	@echo "make docs       the code's documentation"
	@echo "make soak       a million random keys, mouse events and sizes on every profile"
	@echo "make bench      benchmarks"
	@echo "make clean-deps stop the servers, remove what was fetched and their data"

# The dev profile: dependencies are optimised in it, and it builds from nothing in under half the time of a release.
run:
	@assets/scripts/fetch-duckdb
	@exec cargo run

# `services run` ends its servers whether the tests pass, fail or are interrupted, and gives back the tests' exit code.
# LABTOP_TEST_SERVERS: a test that needs a server and finds none fails instead of being skipped.
test:
	@assets/scripts/fetch-duckdb
	@LABTOP_TEST_SERVERS=1 exec $(SERVICES) run $(if $(NEXTEST),cargo nextest run,cargo test) $(TEST_ARGS)

# Not part of the others: labtop is compiled once more for it.
test-onnx:
	@assets/scripts/fetch-duckdb
	cargo clippy --all-targets --features embed-onnx -- -D warnings
	cargo test --lib --features embed-onnx -- embed

# Exit code 3 of `status` says that a server is stopped, which is no error of make's.
services:
	@$(SERVICES) $(or $(filter start stop status,$(MAKECMDGOALS)),start) || [ $$? = 3 ]

# The second word of `make services stop`, or alone.
start stop status:
	@$(if $(filter services,$(MAKECMDGOALS)),:,$(SERVICES) $@ || [ $$? = 3 ])

# LABTOP_SOAK says how many happenings; some minutes for a million in each of four runs.
soak:
	@assets/scripts/fetch-duckdb
	@LABTOP_SOAK=$${LABTOP_SOAK:-1000000} exec $(SERVICES) run cargo test --test it soak -- --nocapture --test-threads 1

# On throw-away servers, which keep nothing on the disk: figures of durable servers want servers of one's own.
bench:
	@assets/scripts/fetch-duckdb
	@benches/setup
	@$(SERVICES) run cargo bench

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

clean-deps:
	@$(SERVICES) clean
	rm -rf .deps
