; Writes of control registers in 32-bit protected mode, one for each line of a table of mode32.c, and back to long mode.
%include "lib/regs.inc"
%include "tests/guests/lib/modes.inc"

global mode32_run, mode32_on_gp, mode32_on_ud, mode32_paging, mode32_lme, mode32_cr3
extern mode32_tries, mode32_count, mode32_idt_pointer, page_tables

CODE32      equ 0x18
DATA        equ 0x10
CODE64      equ 0x08

; struct try
TRY_OP     equ 0
TRY_SET    equ 4
TRY_CLEAR  equ 8
TRY_VECTOR equ 12
TRY_BEFORE equ 16
TRY_VALUE  equ 20
TRY_AFTER  equ 24
TRY_SIZE   equ 28
OP_CR0     equ 0
OP_CR4     equ 1

section .text
bits 64
mode32_run:
    PUSH_KEPT
    mov [saved_rsp], rsp
    mov rax, cr4
    mov [saved_cr4], eax
    push CODE32
    push down
    retfq

bits 32
down:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, stack_end
    LONG_MODE_OFF
    mov eax, [saved_cr4]
    and eax, ~CR4_PAE
    or eax, CR4_PSE
    mov cr4, eax
    lidt [mode32_idt_pointer]
    cmp dword [mode32_paging], 0
    je .ready
    PAGING_ON [mode32_cr3]
.ready:
    cmp dword [mode32_lme], 0
    je .first
    SET_LME
.first:
    mov esi, mode32_tries
    mov edi, [mode32_count]
next:
    mov dword [esi + TRY_VECTOR], -1
    cmp dword [esi + TRY_OP], OP_CR4
    je .cr4
    mov ebx, cr0
    mov eax, ebx
    or eax, [esi + TRY_SET]
    mov ecx, [esi + TRY_CLEAR]
    not ecx
    and eax, ecx
    mov [esi + TRY_BEFORE], ebx
    mov [esi + TRY_VALUE], eax
    mov dword [resume], .after_cr0
    mov cr0, eax
.after_cr0:
    mov ecx, cr0
    mov cr0, ebx
    jmp .done
.cr4: ; other registers than EAX, for the hypervisor has to find out which
    mov ebp, cr4
    mov edx, ebp
    or edx, [esi + TRY_SET]
    mov ecx, [esi + TRY_CLEAR]
    not ecx
    and edx, ecx
    mov [esi + TRY_BEFORE], ebp
    mov [esi + TRY_VALUE], edx
    mov dword [resume], .after_cr4
    mov cr4, edx
.after_cr4:
    mov ecx, cr4
    mov cr4, ebp
.done:
    mov [esi + TRY_AFTER], ecx
    add esi, TRY_SIZE
    dec edi
    jnz next

    LONG_MODE_ON [saved_cr4]
    jmp CODE64:back

bits 64
back:
    mov rsp, [saved_rsp]
    POP_KEPT
    ret

bits 32
mode32_on_gp:
    add esp, 4
    mov dword [esi + TRY_VECTOR], 13
    jmp return
mode32_on_ud:
    mov dword [esi + TRY_VECTOR], 6
return:
    push eax
    mov eax, [resume]
    mov [esp + 4], eax
    pop eax
    iretd

section .bss
align 8
saved_rsp: resq 1
saved_cr4: resd 1
mode32_paging: resd 1
mode32_lme: resd 1
mode32_cr3: resd 1
resume: resd 1
stack: resb 1024
stack_end:

section .note.GNU-stack noalloc noexec nowrite progbits
