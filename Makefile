# Two commands: `make demo` shows triaged at work, `make test` proves it. Each installs what is missing first.
# Everything here is one line of shell or a script; continuous integration runs the same words (.ci/run).

CARGO := scripts/cargo
.DEFAULT_GOAL := help
.PHONY: help demo test fuzz bench check build deb storm kafka kafka3 kafka-stop

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A calm stream, then a storm, on an embedded log (BROKER=kafka: on Apache Kafka; DEMO_SECONDS=60: ends by itself)
	@scripts/demo

test: ## Every test, on a real Apache Kafka too
	@scripts/test

check: ## Format, lints, layers and house rules
	@scripts/setup build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --quiet --locked --test tidy

build: ## The release binary, target/release/triaged
	@scripts/setup build
	@scripts/build-release

deb: ## The Debian package, in target/debian: the daemon, the load tester, the pages
	@scripts/setup build
	@scripts/build-release triaged-storm
	@scripts/deb

storm: ## Rehearse a worst day on a real broker and judge every record (SCENARIO=record-second-2013)
	@scripts/storm $(or $(SCENARIO),smoke)

kafka: ## Start one Apache Kafka broker on loopback and keep it
	@scripts/setup
	@scripts/kafka start single

kafka3: ## Start three brokers, replication 3
	@scripts/setup
	@scripts/kafka start three

kafka-stop: ## Stop what `make kafka` or `make kafka3` started
	@scripts/kafka stop

fuzz: ## The evaluation of rules against a naive one, at length (PAIRS=10000000 SEED=1; a difference prints its seed)
	@scripts/setup build
	FUZZ_PAIRS=$(or $(PAIRS),10000000) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) \
	  $(CARGO) test --release --locked -p triage-engine --test evaluator -- --nocapture

bench: ## Measure against the targets and write docs/performance.md (BENCH=engine or kafka: that part alone)
	@scripts/bench
