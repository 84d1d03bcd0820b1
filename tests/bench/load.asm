; From QEMU's -kernel, which knows multiboot1 (0.6.96, 3.1 to 3.3), to load.c.
bits 32
%define STACK 0x4000

extern load
global leave_to

section .multiboot progbits alloc noexec nowrite align=4
    dd 0x1badb002, 3, 0x100000000 - (0x1badb002 + 3)    ; modules on page boundaries, a memory map

section .text
global entry
entry:
    cli
    cld
    mov esp, stack_end
    push ebx                    ; the multiboot information
    push eax
    call load
    ud2

; void leave_to(uint32_t entry, const void *info): as PVH enters a kernel (Xen's docs/misc/pvh.pandoc)
leave_to:
    mov eax, [esp + 4]
    mov ebx, [esp + 8]
    jmp eax

section .bss nobits alloc noexec write align=16
    resb STACK
stack_end:
section .note.GNU-stack noalloc noexec nowrite progbits
