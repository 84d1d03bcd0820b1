# What runs on the host: set-up, images, the config checker, unit tests, fuzzers, checks and boot tests.

HOST_CC      ?= gcc
CLANG        ?= clang
CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14 clang-format) clang-format)
FUZZ_SECONDS ?= 10

host_warnings := -Wall -Wextra -Werror
host_flags    := -std=gnu11 -g -I. $(host_warnings) -MMD -MP

# The value of a `// KEY: ...` line of a C file: what to link a test with.
links = $(shell sed -n 's|^// $(2): ||p' $(1))

.PHONY: bench test-bench setup images host guests unit fuzz test test-boot test-slow soak-vms run iso check check-rules check-format check-scripts check-cppcheck check-tidy

# ---- Set-up ------------------------------------------------------------------------------------------------------

setup:
	@tools/setup

images: build/images/stamp
build/images/stamp: tools/guest-images tools/fetch-deb tools/images.lock tools/lapwing/cpio.py \
		$(wildcard tools/initramfs/* tools/initramfs/run/*)
	@tools/guest-images
	@touch $@

# ---- The config checker ------------------------------------------------------------------------------------------

host: build/host/lapwing-check

checker_sources := tools/check.c tools/check_file.c tools/check_image.c user/lib/config.c user/lib/config_keys.c user/lib/config_value.c \
	user/lib/config_resolve.c $(sort $(wildcard user/loader/*.c)) lib/format.c

build/host/lapwing-check: $(checker_sources:%.c=build/host/%.o)
	@echo "  LINK  $@"
	@$(HOST_CC) -o $@ $^

build/host/%.o: %.c
	@mkdir -p $(@D)
	@echo "  HOST  $<"
	@$(HOST_CC) $(host_flags) -O2 -c $< -o $@

# ---- Unit tests: tests/unit/test_NAME.c, linked with what its `// links:` line names --------------------------------

unit_tests := $(sort $(wildcard tests/unit/test_*.c))
unit_names := $(unit_tests:tests/unit/%.c=%)
unit_flags := $(host_flags) -O1 -fsanitize=address,undefined -fno-sanitize-recover

build/unit/%.o: %.c
	@mkdir -p $(@D)
	@$(HOST_CC) $(unit_flags) -c $< -o $@

define unit_rule
build/unit/$(1): build/unit/tests/unit/$(1).o $$(patsubst %.c,build/unit/%.o,$$(call links,tests/unit/$(1).c,links))
	@echo "  TEST  $$@"
	@$$(HOST_CC) $$(unit_flags) -o $$@ $$^ $$(call links,tests/unit/$(1).c,libs)
endef
$(foreach name,$(unit_names),$(eval $(call unit_rule,$(name))))

# T=NAME runs only the tests whose file name contains it.
unit: $(unit_names:%=build/unit/%)
	@tests/unit/run $(foreach name,$(unit_names),$(if $(findstring $(T),$(name))$(if $(T),,all),build/unit/$(name)))

# ---- Tests of the host's tools: tests/tools/test_NAME.py ------------------------------------------------------------

.PHONY: test-tools
test-tools: build/lapwing.elf
	@tests/tools/run.py $(T)

# ---- Models of the vCPU core's protocol, checked by spin: tests/model/*.pml ------------------------------------------

# T=NAME runs only the instances whose name contains it.
.PHONY: model mutants
model:
	@tests/model/run.py $(T)

# Can the models fail? T=NAME runs only the mutants whose name contains it; JOBS=N at a time.
mutants:
	@tests/model/mutants.py $(T)

# ---- Fuzzers: tests/fuzz/fuzz_NAME.c, for a short time each ----------------------------------------------------------

fuzz_tests := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_names := $(fuzz_tests:tests/fuzz/%.c=%)
fuzz_flags := $(host_flags) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@$(CLANG) $(fuzz_flags) -fsanitize=fuzzer-no-link -c $< -o $@

define fuzz_rule
build/fuzz/$(1): build/fuzz/tests/fuzz/$(1).o $$(patsubst %.c,build/fuzz/%.o,$$(call links,tests/fuzz/$(1).c,links))
	@echo "  FUZZ  $$@"
	@$$(CLANG) $$(fuzz_flags) -fsanitize=fuzzer -o $$@ $$^ $$(call links,tests/fuzz/$(1).c,libs)
endef
$(foreach name,$(fuzz_names),$(eval $(call fuzz_rule,$(name))))

fuzz: $(fuzz_names:%=build/fuzz/%)
	@tests/fuzz/run $(FUZZ_SECONDS) $^

# ---- Boot tests --------------------------------------------------------------------------------------------------

# T=NAME runs only the tests whose name contains it.
test-boot: build/lapwing.elf build/host/lapwing-check bench-tools images guests
	@tests/boot/run.py $(T)

# Boot tests that take too long for each run.
test-slow: build/lapwing.elf build/host/lapwing-check bench-tools images guests bochs
	@tests/boot/run.py --slow

# The mended Bochs of tools/bochs, for the slow tests that need more than one CPU with VMX.
.PHONY: bochs
bochs:
	@tools/bochs/build build/bochs

# N guests live from their creation to their end; M=vmx: on Bochs.
N ?= 10000
soak-vms: build/lapwing.elf build/host/lapwing-check guests
	@tests/soak/vms.py $(if $(M),--machine $(M)) $(N)

test:
	+@tests/run

# What measures: a plugin of QEMU's that counts instructions, and a loader without a disk (tests/bench/count.c, load.c).
.PHONY: bench-tools
bench-tools: build/bench/count.so build/bench/load.elf

build/bench/%.so: tests/bench/%.c
	@mkdir -p $(@D)
	@echo "  HOST  $@"
	@$(HOST_CC) $(host_flags) -O2 -fPIC -shared -fvisibility=hidden -o $@ $<

build/bench/load.elf: tests/bench/load.c tests/bench/load.asm tests/bench/load.ld
	@mkdir -p $(@D)
	@echo "  HOST  $@"
	@$(HOST_CC) $(host_flags) -m32 -march=i686 -O2 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
		-c -o build/bench/load.o $<
	@nasm -f elf32 -Werror -o build/bench/load.asm.o tests/bench/load.asm
	@ld -m elf_i386 -nostdlib -z noexecstack --no-warn-rwx-segments -T tests/bench/load.ld -o $@ build/bench/load.asm.o \
		build/bench/load.o

# What everything costs, against the budgets of docs/costs.md.
bench: build/lapwing.elf build/host/lapwing-check bench-tools guests images
	@tests/bench/run.py

# Only the micro rows; each budget is a test.
test-bench: build/lapwing.elf build/host/lapwing-check bench-tools guests
	@tests/bench/run.py --test

# ---- Using it ----------------------------------------------------------------------------------------------------

run: setup
	@$(MAKE) --no-print-directory images
	@./lapwing run configs/demo.conf

# CONFIG=FILE, to build/lapwing.iso
CONFIG ?= configs/demo.conf
iso: setup
	@$(MAKE) --no-print-directory images
	@./lapwing iso $(CONFIG) -o build/lapwing.iso

# ---- Checks --------------------------------------------------------------------------------------------------------

checked_dirs    := abi boot kernel vmx svm lapic sched lib user tests tools
checked_sources := $(sort $(shell find $(checked_dirs) -name '*.c' 2>/dev/null))
checked_headers := $(sort $(shell find $(checked_dirs) -name '*.h' 2>/dev/null))

check: check-rules check-format check-scripts check-cppcheck check-tidy
	@echo "check: nothing found"

check-rules:
	@tools/check-rules

# Another release of clang-format formats differently; 14 is the one that decides.
check-format:
	@case $$($(CLANG_FORMAT) --version) in \
	*" 14."*) $(CLANG_FORMAT) --dry-run -Werror $(checked_sources) && \
		$(CLANG_FORMAT) --style=file:.clang-format-headers --dry-run -Werror $(checked_headers) ;; \
	*) echo "check-format: this needs clang-format 14, as Debian 12 has it" >&2; exit 1 ;; \
	esac

check-scripts:
	@for script in tools/setup tools/fetch-deb tools/bochs/build tools/check-rules tests/run tests/core/run tests/unit/run tests/fuzz/run; do \
		sh -n $$script || exit 1; done
	@bash -n .ci/run
	@python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' \
		lapwing tools/guest-images tools/mend-qemu $(sort $(wildcard tools/lapwing/*.py tests/*/*.py))

cppcheck_flags := --quiet --std=c11 --platform=unix64 --enable=warning,portability --inline-suppr --error-exitcode=1 \
	--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=comparePointers --suppress=arrayIndexOutOfBoundsCond \
	--suppress=integerOverflowCond --suppress=signConversionCond --suppress=nullPointerRedundantCheck \
	--suppress=ctunullpointer -I.

check-cppcheck:
	@mkdir -p build/check/cppcheck
	@cppcheck $(cppcheck_flags) --cppcheck-build-dir=build/check/cppcheck -j 2 $(filter-out tests/%,$(checked_sources))

# What clang-tidy says is an error, and so is a warning of clang's. A file is checked again if it or a header changed.
target_flags := -std=gnu11 -I. -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-pic
tidy_warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
tidy_target  := $(filter-out tests/% tools/%,$(checked_sources))
tidy_host    := $(filter tools/%,$(checked_sources))

check-tidy: $(tidy_target:%=build/check/%.tidy) $(tidy_host:%=build/check/%.tidy)

$(tidy_target:%=build/check/%.tidy): tidy_flags = $(target_flags)
$(tidy_host:%=build/check/%.tidy): tidy_flags = -std=gnu11 -I.
build/check/%.tidy: % .clang-tidy $(checked_headers)
	@mkdir -p $(@D)
	@echo "  TIDY  $<"
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(tidy_flags) $(tidy_warnings) 2>$@.err >$@.out || \
		{ cat $@.out $@.err; exit 1; }
	@touch $@

.SECONDARY:
include mk/core.mk
-include $(shell find build/host build/unit build/fuzz build/bench -name '*.d' 2>/dev/null)
