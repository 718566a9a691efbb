# labtop: `make run` and `make test` are all a newcomer needs. `make help` lists the rest.

SERVICES = assets/scripts/services
TEST_SERVICES = LABTOP_SERVICES_FAST=1 LABTOP_SERVICES_DIR=$(or $(LABTOP_TEST_SERVICES_DIR),$(TEST_STATE))
# Where the tests' own throw-away servers live: apart from those of `make services`, and open to an unprivileged user.
TEST_STATE := $(or $(TMPDIR),/tmp)/labtop-test-services-$(shell printf %s "$(CURDIR)" | cksum | cut -d' ' -f1)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: help run test services start stop status bench lint docs clean-deps

help:
	@echo "make run        fetch what is missing, build, open the dashboard"
	@echo "make test       fetch, start throw-away servers, run every test, stop the servers"
	@echo "make services   start PostgreSQL and Chroma (make services stop | status)"
	@echo "make lint       formatting and clippy"
	@echo "make docs       the code's documentation"
	@echo "make bench      benchmarks"
	@echo "make clean-deps remove what was fetched"

# The dev profile: dependencies are optimised in it, and it builds in half the time of a release.
# Without npm the duckdb crate downloads the library itself; our .cargo/config.toml, which would keep it from that, is not
# read when cargo runs from another folder.
run:
	@if command -v npm >/dev/null 2>&1 || [ -e .deps/duckdb/.version ]; then \
		assets/scripts/fetch-duckdb && cargo build; \
	else \
		cd / && DUCKDB_DOWNLOAD_LIB=1 cargo build --manifest-path "$(CURDIR)/Cargo.toml" --target-dir "$(CURDIR)/target"; \
	fi
	@exec "$${CARGO_TARGET_DIR:-target}/debug/labtop"

# The servers are stopped whether the tests pass, fail or are interrupted, and the tests' exit code is kept.
test:
	@assets/scripts/fetch-duckdb
	@$(TEST_SERVICES) $(SERVICES) start >/dev/null
	@trap '$(TEST_SERVICES) $(SERVICES) stop >/dev/null; rm -rf "$(TEST_STATE)"' EXIT; \
	trap 'exit 130' INT TERM; \
	. "$(or $(LABTOP_TEST_SERVICES_DIR),$(TEST_STATE))/env"; \
	export LABTOP_TEST_SERVERS=1; \
	$(if $(NEXTEST),cargo nextest run,cargo test) $(TEST_ARGS)

services:
	@$(SERVICES) $(or $(filter stop status,$(MAKECMDGOALS)),start)

# The second word of `make services stop`.
start stop status:
	@:

bench:
	@assets/scripts/fetch-duckdb
	cargo bench

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

clean-deps:
	-@$(SERVICES) stop
	rm -rf .deps
