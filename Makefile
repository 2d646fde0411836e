# `make` lists the targets.

CARGO ?= cargo
# What follows the subcommand in `train`, `check` and `bench`:
#   make train ARGS="resnet18_cifar --data cifar10:DIR"
ARGS ?=
# `make test SPIRV_TOOLS=0` does not install spirv-val; the tests that need it are then ignored.
SPIRV_TOOLS ?= 1
# `make test MESA=0` downloads no Mesa for `gpu-audit`, 60 MB of packages; the tests that need it are then ignored.
MESA ?= 1

# `make web WEB_TOOLS=0` and `make web-test WEB_TOOLS=0` install nothing, and say what is missing.
WEB_TOOLS ?= 1
# Features of the build that is tested, besides the default ones: none, or `mpi`.
FEATURES ?=
features := $(if $(FEATURES),--features $(FEATURES))
# Where `make web-serve` listens, on this machine alone.
PORT ?= 8080

tilewright := $(or $(CARGO_TARGET_DIR),./target)/release/tilewright

.DEFAULT_GOAL := help
.PHONY: help train train-mpi test check lint bench gpu-audit fuzz adapter build web web-serve web-test

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

train: adapter build ## train: LeNet-5 on the bundled MNIST sample, or what ARGS says
	$(tilewright) train $(ARGS)

# Mpirun's own options, and how many processes. Open MPI asks root for these two words.
MPIRUN ?= mpirun -n 2
mpi := OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1

train-mpi: adapter ## the same on two processes under MPI, or as MPIRUN says
	sh scripts/ensure-mpi.sh
	$(CARGO) build --release --features mpi
	$(mpi) $(MPIRUN) $(tilewright) train $(ARGS)

# `make test FEATURES=mpi` also runs the tests of several processes, on a build that knows MPI: one build does for all tests.
# nextest runs no doc tests. A test that needs what is not here is counted as ignored, and named with its need;
# `TILEWRIGHT_REQUIRE=adapter,spirv-val` makes that a failure. The program that is checked at the end is the one that the
# tests ran: `cargo build` would compile naga and wgpu anew, without the translators that the tests ask of naga.
test: ## run the tests, then every shader on this device against the CPU reference
	sh scripts/ensure-adapter.sh $(if $(filter 1,$(SPIRV_TOOLS)),--spirv-tools)
	$(if $(filter mpi,$(FEATURES)),sh scripts/ensure-mpi.sh)
	$(if $(filter 1,$(MESA)),@python3 scripts/gpu_audit --fetch --suite trixie || echo "The tests that need it are ignored.")
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --release $(features) && $(CARGO) test --release --doc $(features); \
	else \
		set -x; $(CARGO) test --release --no-fail-fast $(features); \
	fi
	$(tilewright) check

check: adapter build ## run every shader on this device against the CPU reference
	$(tilewright) check $(ARGS)

lint: ## formatting, clippy, and links in the documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps --lib

bench: adapter build ## measure this device's throughput
	$(tilewright) bench $(ARGS)

# `make gpu-audit ARGS="--devices navi31 --kernels workgroup_tile"` shows less.
gpu-audit: build ## what GPU compilers make of the kernels of three training steps, without a GPU
	python3 scripts/gpu_audit $(ARGS)

# `make fuzz ARGS="FUZZ_TARGETS=torch,image FUZZ_SECONDS=600 FUZZ_SEED=2"` looks longer at some, from elsewhere.
fuzz: ## feed every parser almost right bytes, a minute each
	$(ARGS) $(CARGO) test --release --test fuzz -- --ignored --nocapture

web: ## build the page that trains in a browser, into target/web
	sh scripts/web.sh $(if $(filter 1,$(WEB_TOOLS)),--tools)

web-serve: web ## serve that page at http://127.0.0.1:8080, to this machine alone
	python3 -m http.server --bind 127.0.0.1 --directory target/web $(PORT)

web-test: build ## build that page and run it in Chromium, without a window
	sh scripts/web.sh --browser $(if $(filter 1,$(WEB_TOOLS)),--tools)
	node web/test/run.mjs target/web target/web-tools --program $(tilewright) $(ARGS)

adapter: ## find a graphics driver, or install one that runs on the CPU
	sh scripts/ensure-adapter.sh

build:
	$(CARGO) build --release
