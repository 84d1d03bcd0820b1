# Root: the kernel image.

ROOT_CC ?= gcc
warnings := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
freestanding := -std=gnu11 -O2 -g -I. -ffreestanding -nostdlib -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common -fcf-protection=none -MMD -MP $(warnings)
ROOT_CFLAGS := $(freestanding) -mcmodel=kernel -fno-omit-frame-pointer -momit-leaf-frame-pointer -fstack-protector-strong \
	-mstack-protector-guard=global

root_sources := $(sort $(wildcard boot/*.c kernel/*.c kernel/*/*.c svm/*.c vmx/*.c lapic/*.c sched/*.c lib/*.c))
root_asm     := $(sort $(wildcard boot/*.asm kernel/*/*.asm svm/*.asm vmx/*.asm))
root_objects := $(root_sources:%.c=build/root/%.o) $(root_asm:%.asm=build/root/%.asm.o)

build/root/%.o: %.c mk/root.mk
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(ROOT_CC) $(ROOT_CFLAGS) -c $< -o $@

build/root/%.asm.o: %.asm mk/root.mk
	@mkdir -p $(@D)
	@echo "  NASM  $<"
	@nasm -f elf64 -Werror -MD $(@:.o=.d) -MP -o $@ $<

build/root/kernel/worlds/worlds.asm.o: build/user/device.bin build/user/control.bin

# Linked twice: the backtrace's symbol table is made from the first link, and is as large as in the second.
build/lapwing.elf: $(root_objects) linker.ld tools/symbols
	@echo "  LD    $@"
	@tools/symbols </dev/null >build/root/symbols.asm && nasm -f elf64 -o build/root/symbols.o build/root/symbols.asm
	@ld -nostdlib -T linker.ld -z noexecstack -o build/root/first.elf $(root_objects) build/root/symbols.o
	@nm -n build/root/first.elf | tools/symbols >build/root/symbols.asm && \
		nasm -f elf64 -o build/root/symbols.o build/root/symbols.asm
	@ld -nostdlib -T linker.ld -z noexecstack -o $@ $(root_objects) build/root/symbols.o

-include $(shell find build/root -name '*.d' 2>/dev/null)
