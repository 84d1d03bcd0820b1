# `make run` shows Lapwing at work, `make test` runs every test; the README says more.
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

.PHONY: all clean
all: build/lapwing.elf build/host/lapwing-check

include mk/root.mk
include mk/user.mk
include mk/host.mk
-include tests/guests/guests.mk

clean:
	rm -rf build/root build/user build/host build/unit build/fuzz build/model build/mutants build/check build/guests build/lapwing.*
