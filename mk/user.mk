# The worlds: ring-3 programs, linked at WORLD_IMAGE_BASE and flattened for root to carry.

# -fbuiltin: small copies of constant size need no call.
WORLD_CFLAGS := $(freestanding) -fbuiltin -fno-stack-protector

control_sources := $(sort $(wildcard user/control/*.c user/control/*/*.c user/lib/*.c)) lib/string.c lib/format.c
device_sources  := $(sort $(wildcard user/devices/*.c user/devices/*/*.c user/emul/*.c user/refused/*.c user/loader/*.c user/lib/*.c)) lib/string.c \
	lib/format.c lib/timerq.c lib/rbtree.c
world_asm       := user/lib/start.asm

build/user/%.o: %.c mk/user.mk mk/root.mk
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(ROOT_CC) $(WORLD_CFLAGS) -c $< -o $@

build/user/%.asm.o: %.asm mk/user.mk
	@mkdir -p $(@D)
	@echo "  NASM  $<"
	@nasm -f elf64 -Werror -o $@ $<

build/user/dsdt.aml: user/loader/dsdt.asl
	@mkdir -p $(@D)
	@echo "  IASL  $<"
	@iasl -we -p build/user/dsdt $< >build/user/dsdt.log 2>&1 || { cat build/user/dsdt.log; exit 1; }

build/user/user/loader/dsdt.asm.o: build/user/dsdt.aml

build/user/control.elf: $(control_sources:%.c=build/user/%.o) $(world_asm:%.asm=build/user/%.asm.o) user/world.ld
	@echo "  LD    $@"
	@ld -nostdlib -static -z noexecstack -T user/world.ld -o $@ $(filter %.o,$^)

build/user/device.elf: $(device_sources:%.c=build/user/%.o) $(world_asm:%.asm=build/user/%.asm.o) \
		build/user/user/loader/dsdt.asm.o user/world.ld
	@echo "  LD    $@"
	@ld -nostdlib -static -z noexecstack -T user/world.ld -o $@ $(filter %.o,$^)

build/user/%.bin: build/user/%.elf
	@objcopy -O binary $< $@

-include $(shell find build/user -name '*.d' 2>/dev/null)
