# Everything is installed into .venv by uv; uv itself, if it is missing, into .venvs/uv.
PYTHON ?= python3
# What is installed is what is here: uv fetches no Python of its own.
export UV_PYTHON_DOWNLOADS = never
# What Python compiled is kept, whatever the environment says of it: most of a server's start
# would go into compiling SQLAlchemy again, and the tests start a hundred of them.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
RUN = $(UV) run --frozen

.PHONY: demo screenshots test test-clients test-lake test-ray check lint bench bench-pages bench-peers fuzz torture soak serve format docs

demo: .venv/ready  ## run a model here, answer, record, and show both (ONCE=1: then stop; DATA=1: a full record)
	@.venv/bin/briggs demo $(if $(ONCE),--once) $(if $(DATA),--data)

serve: .venv/ready  ## serve on port 10100
	@$(RUN) briggs serve

# The clients that the tests put in front of Briggs, each in an environment of its own, since
# they cannot live in one.
CLIENTS = anthropic datasets log10 langchain ollama openai-1 openai-2 openai-3 pydantic-ai traces traces-openai \
	vendors frameworks javascript

test: .venv/ready $(CLIENTS:%=.venvs/%/ready)  ## every test
	$(RUN) pytest --numprocesses auto --dist worksteal $(ARGS)

test-clients: .venv/ready $(CLIENTS:%=.venvs/%/ready) .venvs/claude-code/ready .venvs/inspect/ready  ## the clients that are too heavy for every run too
	$(RUN) pytest tests/clients $(ARGS)

test-lake: .venv/ready .venvs/lake/ready  ## the lake, read by Spark, DuckDB and ClickHouse (needs Java; 1.4 GB)
	$(RUN) pytest tests/lake/check_engines.py $(ARGS)

test-ray: .venv/ready .venvs/ray/ready  ## a run over a Ray cluster of two nodes, one of which dies (230 MB)
	$(RUN) pytest tests/evals/check_ray.py $(ARGS)

check: test lint  ## what a change must pass

lint: .venv/ready  ## style, types, floors
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports

bench: .venv/ready  ## measure beside nginx and whoever is installed (ARGS=--write fills the page)
	$(RUN) python -m bench.bench $(ARGS)

bench-pages: .venv/ready  ## measure the pages over a million completions (ARGS="--rows 10000")
	$(RUN) python -m bench.pages --write $(ARGS)

bench-peers:  ## install the peers that the bench compares with, each by itself
	$(PYTHON) -m bench.peers $(ARGS)

fuzz: .venv/ready  ## 10,000 hostile requests and 10,000 hostile answers (ARGS="--seed 2")
	@$(RUN) python -m tests.fuzz $(ARGS)

torture: .venv/ready  ## faults under load: what is answered is on record (ARGS="--seed 2 --seconds 60")
	@$(RUN) python -m tests.torture $(ARGS)

soak: .venv/ready  ## 500,000 calls with errors and hang-ups: memory and latency stay flat
	@$(RUN) python -m tests.torture --soak 500000 $(ARGS)

docs: .venv/ready  ## write the generated parts of the documentation
	$(RUN) python docs/generate_cli.py
	$(RUN) python docs/generate_catalog.py
	$(RUN) python docs/generate_conformance.py
	$(RUN) python docs/generate_deployment.py
	$(RUN) python docs/generate_rules.py
	$(RUN) python docs/generate_sdk.py

screenshots: .venv/ready  ## take the pictures of the documentation (needs Chromium)
	@$(RUN) python docs/generate_pictures.py $(ARGS)

format: .venv/ready
	$(RUN) ruff check --fix
	$(RUN) ruff format

.venv/ready: uv.lock pyproject.toml | $(if $(filter .venvs/%,$(UV)),$(UV))
	$(UV) sync --frozen
	@touch $@

.venvs/%/ready: tests/clients/%.txt | $(if $(filter .venvs/%,$(UV)),$(UV))
	$(UV) venv --quiet --clear --python $(PYTHON) .venvs/$*
	$(UV) pip install --quiet --python .venvs/$*/bin/python --requirement $<
	@touch $@

# Without Node.js, the documentation's JavaScript is not run.
.venvs/javascript/ready .venvs/claude-code/ready: .venvs/%/ready: tests/clients/%.json
	mkdir -p $(@D)
	cp $< $(@D)/package.json
	! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(@D)
	@touch $@

.venvs/uv/bin/uv:
	$(PYTHON) -m venv .venvs/uv
	.venvs/uv/bin/pip install --quiet uv
