# `make demo` and `make test` install what they need; firmware_cfg/prepare.sh says what, first.
SHELL := /bin/bash
.SHELLFLAGS := -O extglob -c
.NOTPARALLEL:
BIN := .venv/bin
OUT ?= out
WORK ?= work/default
MINUTES ?= 30
VOICES := /usr/share/sounds/alsa/!(Noise).wav

.DEFAULT_GOAL := help
.PHONY: help demo test test-arm test-boot setup lint format bench golden wheel soak-journal soak soak-kill compare-vad scale votes real-voices web-report soak-enrolment face-detection bundle-report parity default-bundle ablation clean

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## hear the voice of ALSA's test sounds and guess its face, into out/
	@firmware_cfg/prepare.sh demo
	@$(BIN)/earsight hear --join $(VOICES) --out $(OUT) --top 5
	@printf '  %s\n' $(abspath $(addprefix $(OUT)/,result.json portrait.png sheet.png))

test: lint ## install everything, then every check and test
	$(BIN)/pytest

test-arm: setup ## ARM roots under emulation, compared with x86, into docs/arm.md; half an hour
	@firmware_cfg/prepare.sh machines
	$(BIN)/python -m tests.arm.run --report docs/arm.md

test-boot: setup ## install into a Debian that boots, break it, uninstall, into docs/boot.md
	@firmware_cfg/prepare.sh machines
	$(BIN)/python tests/boot/run.py --report docs/boot.md

setup: ## install everything: device, converter, tools
	@firmware_cfg/prepare.sh test

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# NumPy 2 declares other types than NumPy 1, which TensorFlow 2.15 needs
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then $(BIN)/mypy; \
	  else echo "mypy skipped: types are checked with Python 3.11 and NumPy 1"; fi

format: setup ## put every file into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: ## how long each step takes here, into out/bench.json
	@firmware_cfg/prepare.sh demo
	$(BIN)/python tests/bench.py --out $(OUT)/bench.json

golden: setup ## compute the golden test data anew
	$(BIN)/python tests/make_golden.py

wheel: setup ## build dist/earsight-*.whl
	rm -rf build
	$(BIN)/python -m build --wheel --no-isolation

soak-journal: setup ## kill the journal's writer 200 times; nothing announced may be lost
	$(BIN)/python tests/soak_journal.py --kills 200

soak: setup ## let the daemon listen for MINUTES=30, into docs/soak.md
	$(BIN)/python -m tests.soak_live --minutes $(MINUTES) --report docs/soak.md

soak-kill: setup ## kill the daemon 200 times while it hears, into docs/soak_kill.md
	@mkdir -p $(OUT)
	$(BIN)/python -m tests.soak_kill --kills 200 --folder $(OUT) --report docs/soak_kill.md

compare-vad: setup ## compare speech detectors on real voices, into docs/vad.md: SPEECH=FOLDER
	@test -n "$(SPEECH)" || { echo "give SPEECH=FOLDER of FLAC files, each of one voice"; exit 2; }
	$(BIN)/pip install pymicro-vad webrtcvad-wheels
	$(BIN)/python -m tests.compare_vad $(SPEECH) --report docs/vad.md

scale: setup ## what embedding a corpus costs, and workers that are killed, into docs/scale.md
	$(BIN)/python -m tests.measure_scale --report docs/scale.md

votes: setup ## what names are worth over conversations, into docs/votes.md: WORK=FOLDER
	$(BIN)/python -m tests.measure_votes --work $(WORK) --report docs/votes.md

real-voices: setup ## sex and age of real people, into docs/real_voices.md: [SPEECH=FOLDER LABELS=FILE]
	$(BIN)/python -m tests.measure_real_voices $(if $(SPEECH),--voices $(SPEECH)) \
	  $(if $(LABELS),--labels $(LABELS)) --report docs/real_voices.md

soak-enrolment: setup ## enrol 2000 photos, 200 of them bad, with 50 kills, into docs/enrolment.md
	$(BIN)/python -m tests.soak_enrolment --photos 2000 --bad 200 --kills 50 --out docs/enrolment.md

face-detection: setup ## measure the face detector on rendered heads: GEOMETRY=PACK.npz
	@test -n "$(GEOMETRY)" || { echo "give GEOMETRY=PACK.npz (README, Make your own bundle)"; exit 2; }
	$(BIN)/earsight-convert detector measure --geometry $(GEOMETRY) --out docs/face_detection.md

web-report: setup ## measure what the page costs and take its picture, into docs/
	$(BIN)/python -m tests.report_web

bundle-report: setup ## measure the shipped bundle, into docs/report.html: GEOMETRY=PACK.npz [SPEECH=FOLDER LABELS=FILE]
	@test -n "$(GEOMETRY)" || { echo "give GEOMETRY=PACK.npz (README, Make your own bundle)"; exit 2; }
	$(BIN)/earsight-convert report edge/bundles/default.bundle --work $(WORK) --geometry $(GEOMETRY) \
	  --out $(OUT)/report --attach $(if $(SPEECH),--voices $(SPEECH)) $(if $(LABELS),--labels $(LABELS))
	cp $(OUT)/report/report.html docs/report.html

parity: setup ## hold imported networks to PyTorch originals, into docs/parity/: SHARED=FOLDER
	@test -n "$(SHARED)" || { echo "give SHARED=FOLDER with data/weights and data/voices"; exit 2; }
	$(BIN)/pip install 'torch>=2.2' 'setuptools<81'
	$(BIN)/python tests/make_parity.py --shared $(SHARED)

default-bundle: setup ## train the shipped bundle, in an hour or more: GEOMETRY=PACK.npz
	@test -n "$(GEOMETRY)" || { echo "give GEOMETRY=PACK.npz (README, Make your own bundle)"; exit 2; }
	@firmware_cfg/prepare.sh voices
	$(BIN)/earsight-convert build --work $(WORK) --geometry $(GEOMETRY)

ablation: setup ## what each part of the training is worth, into docs/ablation.md: WORK=FOLDER
	$(BIN)/earsight-convert ablation --work $(WORK) --out docs/ablation.md

clean: ## remove what was built; .venv and work/ stay
	rm -rf build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find edge convert tests -name __pycache__ -prune -exec rm -rf {} +
