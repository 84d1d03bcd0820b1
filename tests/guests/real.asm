; The modes of the CPU but 64-bit mode: down to one of them, the same steps there, and back up.
; What is between real_blob and real_blob_end runs at BLOB: as segment BLOB >> 4 in real mode, as segments with the base
; BLOB elsewhere, so that the offsets are the same. Its first bytes are struct blob of real.c.
%include "lib/regs.inc"
%include "tests/guests/lib/modes.inc"

global real_blob, real_blob_end, real_run
extern page_tables, gdt_pointer

BLOB  equ 0x50000 ; of real.c
STACK equ 0x4000

CODE64   equ 0x08
FLAT     equ 0x10
CODE32   equ 0x18
BLOB16   equ 0x20 ; code
BLOB32   equ 0x28 ; code
BLOBDATA equ 0x30

KIND_REAL equ 0
KIND_16   equ 1
KIND_32   equ 2
PAGING_NONE equ 0
PAGING_32   equ 1
PAGING_PAE  equ 2
PAGING_LONG equ 3

PCI_ADDRESS equ 0xcf8
PCI_DATA    equ 0xcfc
PCI_VALUE   equ 0x80000000
MSR_BAD     equ 0x12345

section .text
bits 16
real_blob:
kind:    dd 0
paging:  dd 0
cr3_new: dd 0
ticks:   dd 0
ints:    dd 0
faults:  dd 0
results: times 32 dd 0

%define AT(label) ((label) - real_blob)
%assign result_number 0
%macro RESULT 1
    mov [AT(results) + 4 * result_number], %1
%assign result_number result_number + 1
%endmacro

; Every step leaves the CPU for the hypervisor, most with prefixes: an instruction's length that is wrong by a byte makes
; something else of what follows. %1: the word that makes REP use the other address size.
%macro STEPS 1
%assign result_number 0
    xor eax, eax
    cpuid
    RESULT ebx
    xor eax, eax
    db 0x66
    cpuid
    RESULT ecx
    xor eax, eax
    db 0x2e, 0x67, 0x66
    cpuid
    RESULT edx
    mov ecx, 0x1b ; APIC_BASE
    rdmsr
    RESULT eax
    db 0x66, 0x64
    rdmsr
    RESULT eax
    mov ecx, 0x174 ; SYSENTER_CS
    mov eax, 0x1234
    xor edx, edx
    db 0x67
    wrmsr
    xor eax, eax
    rdmsr
    RESULT eax
    mov dx, PCI_ADDRESS
    mov eax, PCI_VALUE
    out dx, eax
    xor eax, eax
    mov dx, PCI_DATA
    in ax, dx
    RESULT eax
    mov dx, PCI_ADDRESS
    in eax, dx
    RESULT eax
    mov eax, 0x11223344
    out 0xa1, al ; mask of the second 8259
    mov al, 0
    db 0x36
    in al, 0xa1
    RESULT eax
    cld
    mov edi, AT(buffer)
    mov ecx, 4
    rep insd
    mov edi, AT(buffer) + 16
    mov ecx, 4
    %1 rep insd
    RESULT ecx
    RESULT edi
    mov eax, [AT(buffer) + 12]
    RESULT eax
    mov eax, [AT(buffer) + 28]
    RESULT eax
    mov dword [AT(buffer) + 16], PCI_VALUE + 4
    mov esi, BLOB + AT(buffer) + 16
    a32 fs outsd
    RESULT esi
    mov esi, AT(buffer) + 16
    cs outsw ; readable code
    in eax, dx
    RESULT eax
    ; MMIO through a segment of 4 GiB, which real mode calls "big"
    a32 mov eax, [fs:0xfee00030]
    RESULT eax
    mov ebx, 0xfee00380
    a32 mov dword [fs:ebx], 0x10000
    a32 add dword [fs:ebx], 0x77
    xor eax, eax
    a32 or eax, [fs:ebx]
    RESULT eax
    a32 push dword [fs:ebx]
    pop eax
    RESULT eax
    xor eax, eax
    mov esi, ebx
    a32 fs lodsd
    RESULT eax
    wbinvd
    db 0x66
    wbinvd
    mov eax, cr0
    mov cr0, eax
    smsw cx
    lmsw cx
    int 0x61
    mov ecx, MSR_BAD
    rdmsr ; #GP, whose handler goes on behind it
    db 0x66, 0x67
    cpuid
    mov dword [AT(ticks)], 0
%%wait:
    sti
    hlt
    cli
    cmp dword [AT(ticks)], 3
    jb %%wait
%endmacro

steps16:
    STEPS a32
    jmp dword CODE32:back

to_real:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp (BLOB >> 4):AT(in_real)
in_real:
    mov ax, cs
    mov ds, ax
    mov es, ax
    mov ss, ax
    STEPS a32
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE32:back

; Real mode's handlers, and those of 16-bit gates but for the error code. IP is that of the RDMSR: two bytes.
on_int16:
    inc dword [AT(ints)]
    iret
on_gp16_pop:
    add sp, 2
on_gp16:
    push bp
    mov bp, sp
    add word [bp + 2], 2
    pop bp
    inc dword [AT(faults)]
    iret
on_tick16:
    push ax
    inc dword [AT(ticks)]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

bits 32
steps32:
    STEPS a16
    jmp CODE32:back

on_int32:
    inc dword [AT(ints)]
    iret
on_gp32:
    add esp, 4
    add dword [esp], 2
    inc dword [AT(faults)]
    iret
on_tick32:
    push eax
    inc dword [AT(ticks)]
    mov al, 0x20
    out 0x20, al
    pop eax
    iret

align 8
blob_gdt:
    dq 0
    dq 0x00af9b000000ffff ; 08 64-bit code
    dq 0x00cf93000000ffff ; 10 data, flat
    dq 0x00cf9b000000ffff ; 18 32-bit code, flat
    dq 0x00009b050000ffff ; 20 16-bit code, base BLOB
    dq 0x00409b050000ffff ; 28 32-bit code, base BLOB
    dq 0x000093050000ffff ; 30 data, base BLOB
blob_gdt_end:

; Gates for #GP, the timer and INT: %1 is 6 or 0xe (16 or 32 bits), %2 the code's selector.
%macro GATE 3
    dw AT(%3), %2, 0x8000 | %1 << 8, 0
%endmacro
%macro IDT 5
    times 13 dq 0
    GATE %1, %2, %3
    times 0x60 - 14 dq 0
    GATE %1, %2, %4
    GATE %1, %2, %5
%endmacro
align 8
idt16: IDT 6, BLOB16, on_gp16_pop, on_tick16, on_int16
idt32: IDT 0xe, BLOB32, on_gp32, on_tick32, on_int32

gdt_new:  dw blob_gdt_end - blob_gdt - 1
          dq BLOB + AT(blob_gdt)
idt16_at: dw 0x62 * 8 - 1
          dd BLOB + AT(idt16)
idt32_at: dw 0x62 * 8 - 1
          dd BLOB + AT(idt32)
ivt_at:   dw 0x3ff
          dd 0
align 16
buffer: times 16 dd 0
; Far pointers of the interrupt vector table, for real.c: #GP, timer, INT.
ivt_entries:
    dw AT(on_gp16), BLOB >> 4, AT(on_tick16), BLOB >> 4, AT(on_int16), BLOB >> 4
real_blob_end:

%define HERE(label) (BLOB + AT(label))

; void real_run(void): as kind, paging and cr3_new of the copy at BLOB say. The timer interrupts meanwhile.
bits 64
real_run:
    PUSH_KEPT
    mov [saved_rsp], rsp
    sidt [saved_idt]
    mov rax, cr4
    mov [saved_cr4], eax
    lgdt [HERE(gdt_new)]
    push CODE32
    push down
    retfq

bits 32
down:
    mov ax, FLAT
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov ss, ax
    mov esp, BLOB + STACK
    mov ebp, [HERE(paging)]
    cmp ebp, PAGING_LONG
    je .ready
    LONG_MODE_OFF
    mov eax, [saved_cr4]
    and eax, ~(CR4_PAE | CR4_PSE)
    cmp ebp, PAGING_32
    jne .not_32
    or eax, CR4_PSE
.not_32:
    cmp ebp, PAGING_PAE
    jne .not_pae
    or eax, CR4_PAE
.not_pae:
    mov cr4, eax
    lidt [HERE(idt32_at)]
    cmp dword [HERE(kind)], KIND_16
    jne .not_16
    lidt [HERE(idt16_at)]
.not_16:
    cmp ebp, PAGING_NONE
    je .ready
    PAGING_ON [HERE(cr3_new)]
.ready:
    mov ax, BLOBDATA
    mov ds, ax
    mov es, ax
    cmp dword [AT(kind)], KIND_32
    je .to_32
    cmp ebp, PAGING_LONG ; interrupts use RSP as it is, and go to 64-bit code
    je .to_16
    mov ss, ax
    mov esp, STACK
    cmp dword [AT(kind)], KIND_REAL
    jne .to_16
    lidt [AT(ivt_at)]
    jmp BLOB16:AT(to_real)
.to_16:
    jmp BLOB16:AT(steps16)
.to_32:
    jmp BLOB32:AT(steps32)

back:
    mov ax, FLAT
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, BLOB + STACK
    cmp dword [HERE(paging)], PAGING_LONG
    je .ready
    LONG_MODE_ON [saved_cr4]
.ready:
    jmp CODE64:.long

bits 64
.long:
    mov rsp, [saved_rsp]
    lgdt [gdt_pointer]
    lidt [saved_idt]
    mov eax, FLAT
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    POP_KEPT
    ret

section .data
saved_rsp: dq 0
saved_idt: dw 0
           dq 0
saved_cr4: dd 0

global real_ivt_entries
real_ivt_entries equ ivt_entries - real_blob

section .note.GNU-stack noalloc noexec nowrite progbits
