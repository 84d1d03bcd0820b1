; From the boot loader to C: multiboot2 (3.1.1 headers, 3.3 machine state) and PVH (Xen's docs/misc/pvh.pandoc).
; Both enter in 32-bit protected mode, without paging, with interrupts off, and with the address of the boot information
; in EBX.

%define KERNEL_BASE 0xffffffff80000000
%define COM1        0x3f8
%define MB2_MAGIC   0x36d76289

section .multiboot2 progbits alloc noexec nowrite align=8
header:
    dd 0xe85250d6, 0, header_end - header
    dd 0x100000000 - (0xe85250d6 + (header_end - header))
    align 8
    dw 6, 0                     ; modules on page boundaries
    dd 8
    dw 0, 0                     ; end
    dd 8
header_end:

section .note.pvh progbits alloc noexec nowrite align=4
    dd 4, 4, 18                 ; XEN_ELFNOTE_PHYS32_ENTRY
    db "Xen", 0
    dd entry_pvh

section .boot.text progbits alloc exec nowrite align=16
bits 32
global entry_multiboot2
entry_multiboot2:
    cmp eax, MB2_MAGIC
    mov esi, no_loader
    jne refuse
    mov edi, 0                  ; enum boot_protocol
    jmp start
entry_pvh:
    mov edi, 1
start:
    cli
    cld
    mov esp, boot_stack_end

    ; All that follows needs long mode and no-execute pages.
    mov eax, 0x80000000
    push edi
    push ebx
    cpuid
    mov esi, no_long_mode
    cmp eax, 0x80000001
    jb refuse
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29
    jz refuse
    mov esi, no_nx
    test edx, 1 << 20
    jz refuse
    pop ebx
    pop edi

    ; Fills the early page tables with 2 MiB pages: the first 4 GiB are mapped at 0 and at DIRECT_MAP_BASE, and the
    ; first GiB at KERNEL_BASE.
    mov ecx, 0
    mov eax, 0x83
.fill:
    mov [early_pd + ecx * 8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 2048
    jne .fill

    mov eax, 1 << 5             ; PAE, and no bit that the firmware had set
    mov cr4, eax
    mov eax, early_pml4
    mov cr3, eax
    mov ecx, 0xc0000080         ; EFER: LME, NXE
    rdmsr
    or eax, (1 << 8) | (1 << 11)
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | (1 << 16) | 1   ; PG, WP, PE
    mov cr0, eax
    lgdt [early_gdtr]
    jmp 8:long_mode

; Prints the string at ESI on COM1, and stops.
refuse:
    mov dx, COM1
.next:
    lodsb
    test al, al
    jz .stop
    out dx, al
    jmp .next
.stop:
    cli
    hlt
    jmp .stop

bits 64
long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax

    mov esi, ebx                ; boot_main(protocol, information)
    mov edi, edi
    mov rsp, boot_stack_top
    xor ebp, ebp
    mov rax, boot_main
    call rax
    ud2

extern boot_main

section .boot.data progbits alloc noexec write align=16
early_gdt:
    dq 0
    dq 0x00af9b000000ffff
    dq 0x00cf93000000ffff
early_gdtr:
    dw 23
    dd early_gdt
no_loader:    db "lapwing| not started by a multiboot2 loader: use GRUB's multiboot2 command", 13, 10, 0
no_long_mode: db "lapwing| this CPU has no 64-bit mode: Lapwing needs an x86-64 CPU", 13, 10, 0
no_nx:        db "lapwing| this CPU has no-execute pages switched off: enable NX/XD in the firmware's set-up", 13, 10, 0
    align 16
    times 256 db 0
boot_stack_end:

section .boot.tables progbits alloc noexec write align=4096
early_pml4:
    dq early_pdpt + 3
    times 255 dq 0
    dq early_pdpt + 3           ; DIRECT_MAP_BASE, until the final tables stand
    times 254 dq 0
    dq early_pdpt_high + 3
early_pdpt:
    dq early_pd + 3, early_pd + 0x1003, early_pd + 0x2003, early_pd + 0x3003
    times 508 dq 0
early_pdpt_high:
    times 510 dq 0
    dq early_pd + 3
    dq 0
early_pd:
    times 2048 dq 0

section .bss nobits alloc write align=4096
global boot_stack_bottom
boot_stack_bottom:
    resb 16384
boot_stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
