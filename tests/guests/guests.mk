# Test guests: tests/guests/NAME.c (and NAME.asm, if it is there) to build/guests/NAME.elf, ELF32 with 64-bit code.
# NAME.elf has a multiboot1 header and a PVH note; hello also comes with one of the two: hello-mb.elf, hello-pvh.elf, and
# with its code and data from 0x1000 on: hello-low.elf.

guest_names := $(basename $(notdir $(wildcard tests/guests/*.c)))
guest_lib   := $(patsubst tests/guests/%.c,build/guests/obj/%.o,$(sort $(wildcard tests/guests/lib/*.c))) \
	build/guests/obj/lib/trap.asm.o
guest_files := $(guest_names:%=build/guests/%.elf) build/guests/hello-mb.elf build/guests/hello-pvh.elf \
	build/guests/hello-low.elf build/guests/world_probe.bin

# What a guest has besides NAME.c and NAME.asm: the C files of a directory NAME, and the cases that unit tests share.
guest_parts = $(patsubst tests/guests/%.c,build/guests/obj/%.o,$(sort $(wildcard tests/guests/$(1)/*.c))) \
	$(patsubst tests/%.c,build/guests/obj/shared/%.o,$(if $(filter lapic,$(1)),$(sort $(wildcard tests/lapic/*.c))))

GUEST_CFLAGS := $(freestanding) -fno-stack-protector

guests: $(guest_files)

build/guests/obj/%.o: tests/guests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(ROOT_CC) $(GUEST_CFLAGS) -c $< -o $@

build/guests/obj/shared/%.o: tests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(ROOT_CC) $(GUEST_CFLAGS) -c $< -o $@

build/guests/obj/%.asm.o: tests/guests/%.asm lib/regs.inc $(wildcard tests/guests/*.inc tests/guests/lib/*.inc)
	@mkdir -p $(@D)
	@echo "  NASM  $<"
	@nasm -f elf64 -Werror -o $@ $<

# For a device world: tests/boot/test_security.py
build/guests/world_probe.bin: tests/boot/world_probe.asm
	@mkdir -p $(@D)
	@echo "  NASM  $<"
	@nasm -f bin -Werror -o $@ $<

build/guests/obj/lib/entry-mb.asm.o: tests/guests/lib/entry.asm
	@mkdir -p $(@D)
	@nasm -f elf64 -Werror -DPVH=0 -o $@ $<

build/guests/obj/lib/entry-pvh.asm.o: tests/guests/lib/entry.asm
	@mkdir -p $(@D)
	@nasm -f elf64 -Werror -DMULTIBOOT=0 -o $@ $<

# A loader of multiboot1 takes 32-bit files only; the code in them is none of its business.
define guest_link
	@echo "  LD    $@"
	@ld -m elf_x86_64 -nostdlib -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments -T $(filter %.ld,$^) \
		-o $(@:build/guests/%.elf=build/guests/obj/%.elf64) $(filter %.o,$^)
	@objcopy -O elf32-i386 $(@:build/guests/%.elf=build/guests/obj/%.elf64) $@
endef

build/guests/hello-mb.elf: build/guests/obj/lib/entry-mb.asm.o build/guests/obj/hello.o $(guest_lib) tests/guests/lib/guest.ld
	$(guest_link)

build/guests/hello-pvh.elf: build/guests/obj/lib/entry-pvh.asm.o build/guests/obj/hello.o $(guest_lib) tests/guests/lib/guest.ld
	$(guest_link)

build/guests/hello-low.elf: build/guests/obj/lib/entry-mb.asm.o build/guests/obj/hello.o $(guest_lib) tests/guests/lib/low.ld
	$(guest_link)

define guest_rule
build/guests/$(1).elf: build/guests/obj/lib/entry.asm.o build/guests/obj/$(1).o $(guest_lib) tests/guests/lib/guest.ld \
		$(patsubst tests/guests/%.asm,build/guests/obj/%.asm.o,$(wildcard tests/guests/$(1).asm)) \
		$(call guest_parts,$(1))
	$$(guest_link)
endef
$(foreach name,$(guest_names),$(eval $(call guest_rule,$(name))))

-include $(shell find build/guests -name '*.d' 2>/dev/null)
