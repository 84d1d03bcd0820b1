; Where an application processor starts (SDM Vol. 3, 9.4.4). kernel/cpu/smp.c copies this code to a page below 640 KiB,
; and fills the mailbox in the last part of that page. The processor begins in real mode, with CS = page << 8 and IP = 0
; (page: the page's address >> 12).
%define MAILBOX 0xfc0           ; dq CR3, dq stack, dq entry, dq argument

section .rodata
align 16
global trampoline_start, trampoline_end
trampoline_start:
bits 16
    cli
    cld
    mov ax, cs
    mov ds, ax
    movzx ebx, ax
    shl ebx, 4                  ; EBX: the page's address

    ; The pointers at the end of this page are relative to the page. Now they become addresses.
    add [gdtr - trampoline_start + 2], ebx
    add [far32 - trampoline_start], ebx
    add [far64 - trampoline_start], ebx
    o32 lgdt [gdtr - trampoline_start]

    mov eax, cr0
    and eax, 0x9fffffff         ; CD and NW are clear: caches are on
    or eax, 1                   ; PE
    mov cr0, eax
    o32 jmp far [far32 - trampoline_start]
bits 32
protected:
    mov ax, 16
    mov ds, ax
    mov ss, ax
    mov eax, cr4
    or eax, 1 << 5              ; PAE
    mov cr4, eax
    mov eax, [ebx + MAILBOX]
    mov cr3, eax

    mov ecx, 0xc0000080         ; EFER: LME, NXE
    rdmsr
    or eax, (1 << 8) | (1 << 11)
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | (1 << 16)       ; PG, WP
    mov cr0, eax
    jmp far [ebx + far64 - trampoline_start]
bits 64
long_mode:
    mov rsp, [rbx + MAILBOX + 8]    ; entry(argument), on the new stack
    mov rdi, [rbx + MAILBOX + 24]
    xor ebp, ebp
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov rax, [rbx + MAILBOX + 16]
    call rax
    ud2

align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff       ; 0x08: 32-bit code
    dq 0x00cf93000000ffff       ; 0x10: data
    dq 0x00af9b000000ffff       ; 0x18: 64-bit code
gdtr:
    dw 31
    dd gdt - trampoline_start
far32:
    dd protected - trampoline_start
    dw 0x08
far64:
    dd long_mode - trampoline_start
    dw 0x18
trampoline_end:

section .note.GNU-stack noalloc noexec nowrite progbits
