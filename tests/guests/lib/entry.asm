; Where a guest begins: 32-bit protected mode, paging off, as multiboot1 and PVH leave it. On to long mode and to C.
; MULTIBOOT and PVH (0 or 1) say which of the two the file offers.

%ifndef MULTIBOOT
%define MULTIBOOT 1
%endif
%ifndef PVH
%define PVH 1
%endif

MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 3 ; modules on page boundaries, memory information

extern guest_start, cpu_stacks, ap_start
global entry, gdt, gdt_pointer, page_tables, ap_code, ap_code_end, ap_ticket, ap_began, boot_magic, boot_info, boot_tsc

CODE64 equ 0x08
DATA   equ 0x10
CODE32 equ 0x18
STACK_SIZE equ 0x4000 ; CPU_STACKS_SIZE of cpu.h
MAX_CPUS   equ 256    ; MAX_CPUS of cpu.h

%if MULTIBOOT
section .multiboot align=4
    dd MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
%endif

%if PVH
section .note.pvh note alloc noexec nowrite align=4
    dd 4, 4, 18 ; XEN_ELFNOTE_PHYS32_ENTRY
    db "Xen", 0
    dd entry
%endif

section .text
bits 32
entry:
    db 0x0f, 0x1f, 0x80 ; a marker (mark.h): what a life before this one has begun, ends
    dd 0x4c500000
    cld
    mov [boot_magic], eax
    mov [boot_info], ebx
    rdtsc
    mov [boot_tsc], eax
    mov [boot_tsc + 4], edx
    mov esp, cpu_stacks + STACK_SIZE
    lgdt [gdt_pointer]
    call to_long_mode
    jmp CODE64:long_mode

; An AP, in protected mode, with a flat CS; EBX:ESI: the TSC at its first instruction. Its number is the order in which
; APs come here.
ap_protected:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov edi, ap_long_mode_return
    jmp to_long_mode_edi
ap_long_mode_return:
    jmp CODE64:ap_long_mode

; No stack is needed by the second name: it goes back to EDI.
to_long_mode:
    pop edi
to_long_mode_edi:
    mov eax, page_tables
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620 ; PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080 ; EFER
    rdmsr
    or eax, 0x100 ; LME
    wrmsr
    mov eax, cr0
    and eax, 0x9ffffff3 ; not CD, NW, EM, TS
    or eax, 0x80010023  ; PG, WP, NE, MP, PE
    mov cr0, eax
    jmp edi

bits 64
long_mode:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, cpu_stacks + STACK_SIZE
    xor eax, eax
    mov fs, ax
    mov gs, ax
    xor ebp, ebp
    call guest_start
stop:
    cli
    hlt
    jmp stop

ap_long_mode:
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov edi, 1
    lock xadd [ap_ticket], edi
    inc edi ; the BSP is 0
    cmp edi, MAX_CPUS
    jae stop
    mov [ap_began + rdi * 8], esi
    mov [ap_began + rdi * 8 + 4], ebx
    mov eax, edi
    inc eax
    imul eax, eax, STACK_SIZE
    lea rsp, [rax + cpu_stacks]
    xor ebp, ebp
    call ap_start
    jmp stop

; Copied to where a SIPI starts an AP: CS:IP = vector << 8 : 0.
bits 16
ap_code:
    rdtsc
    mov esi, eax
    mov ebx, edx
    cli
    cld
    mov ax, cs
    mov ds, ax
    o32 lgdt [ap_gdt_pointer - ap_code]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE32:ap_protected
align 4
ap_gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
ap_code_end:

section .data
align 16
gdt:
    dq 0
    dq 0x00af9b000000ffff ; 08 64-bit code
    dq 0x00cf93000000ffff ; 10 data
    dq 0x00cf9b000000ffff ; 18 32-bit code
    dq 0x00009b000000ffff ; 20 16-bit code, base 0
    dq 0x000093000000ffff ; 28 16-bit data, base 0
    dq 0, 0               ; 30, 38: for a guest's own use
    times 2 * MAX_CPUS dq 0 ; 40 and up: a TSS for each CPU
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dq gdt

boot_magic: dd 0
boot_info:  dd 0
ap_ticket:  dd 0
align 8
ap_began: times MAX_CPUS dq 0
boot_tsc: dq 0

; The first 4 GiB, as they are, in 2 MiB pages; user mode may, too. Devices are in the last GiB: not cached there.
align 4096
page_tables:
    dq directories + 7
    times 511 dq 0
directories:
    dq directory + 0x0007, directory + 0x1007, directory + 0x2007, directory + 0x3007
    times 508 dq 0
directory:
%assign page 0
%rep 1536
    dq page * 0x200000 + 0x87
%assign page page + 1
%endrep
%rep 512
    dq page * 0x200000 + 0x9f
%assign page page + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
