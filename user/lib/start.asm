; The first bytes of a world's image. Root enters here, at WORLD_IMAGE_BASE, with RDI = thread slot and
; RSP = end of the slot's stack - 8. The header behind the jump is struct world_header of abi/world.h.
bits 64
default rel

extern world_main
extern world_text_end, world_rodata_end, world_data_end, world_bss_end

section .start progbits alloc exec nowrite align=16

global _start
_start:
    jmp near world_main         ; world_main(slot): must not return
    align 16, int3
    db "LAPWORLD"
    dq world_text_end, world_rodata_end, world_data_end, world_bss_end
section .note.GNU-stack noalloc noexec nowrite progbits
