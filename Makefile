# Everything is installed into .venv by uv; uv itself, if it is missing, into .venvs/uv.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
RUN = $(UV) run --frozen

.PHONY: demo test check bench bench-peers serve format docs

demo: .venv/ready  ## run a model here, answer, record, and show both (ONCE=1: then stop)
	@$(RUN) briggs demo $(if $(ONCE),--once)

serve: .venv/ready  ## serve on port 10100
	@$(RUN) briggs serve

test: .venv/ready  ## every test
	$(RUN) pytest

check: .venv/ready  ## lint, types, floors, docs and tests
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) pytest

bench: .venv/ready  ## measure against nginx and whoever else is installed; fills docs/performance.md
	$(RUN) python bench/bench.py --write

bench-peers:  ## install the peers that the bench compares with
	$(PYTHON) bench/peers.py

docs: .venv/ready  ## write the generated parts of the documentation
	$(RUN) python docs/generate.py

format: .venv/ready
	$(RUN) ruff check --fix
	$(RUN) ruff format

.venv/ready: uv.lock pyproject.toml | $(if $(filter .venvs/%,$(UV)),$(UV))
	$(UV) sync --frozen
	@touch $@

.venvs/uv/bin/uv:
	$(PYTHON) -m venv .venvs/uv
	.venvs/uv/bin/pip install --quiet uv
