; Tasks in 32-bit protected mode, flat: the code runs where it is linked, below 4 GiB. task.c makes the tables and knows
; the results, which are numbered in the order of this text.
%include "lib/regs.inc"
%include "tests/guests/lib/modes.inc"

%include "tests/guests/task.inc"

global task_run, task_results, task_ints, task_externals, task_nmis, task_np_eip
extern page_tables, task_gdt_pointer, task_idt_pointer, task_gdt, task_main_tss, task_t1_tss, task_t16_tss, task_v86_tss, task_ud_tss

LAPIC       equ 0xfee00000
ICR         equ LAPIC + 0x300
ICR2        equ LAPIC + 0x310
SELF_INT    equ 0x44000 + VECTOR_EXTERNAL
NMI         equ 0x4400
CR0_TS      equ 8
FLAG_NT     equ 0x4000
FLAG_VM     equ 0x20000
DR7_L0_G1   equ 0x409
UNUSED      equ 0x500 ; no code is there
ACCESS_TYPE equ 0xf00 ; of a descriptor's second half

%assign result_number 0
%macro RESULT 1
    mov [task_results + 4 * result_number], %1
%assign result_number result_number + 1
%endmacro
%macro RESULT16 1 ; from 16-bit code
    mov [dword task_results + 4 * result_number], %1
%assign result_number result_number + 1
%endmacro
%macro RESULT_NT 0 ; by EAX
    pushfd
    pop eax
    and eax, FLAG_NT
    RESULT eax
%endmacro
%macro RESULT_TR 0
    xor eax, eax
    str ax
    RESULT eax
%endmacro
%macro RESULT_TYPE 1 ; of the TSS
    mov eax, [task_gdt + %1 + 4]
    and eax, ACCESS_TYPE
    RESULT eax
%endmacro
%macro RESULT_MARKER 0 ; what this task's page tables show
    xor eax, eax
    cmp dword [task_paging], PAGING_NONE
    je %%none
    mov eax, [MARKER_AT]
%%none:
    RESULT eax
%endmacro

section .text
bits 32
; The first task: TR is loaded by hand.
main:
    mov ax, SEL_MAIN
    ltr ax
    xor eax, eax
    lldt ax
    clts
    RESULT_MARKER
    mov eax, UNUSED
    mov dr0, eax
    mov dr1, eax
    mov eax, DR7_L0_G1
    mov dr7, eax
    ; JMP and back: all registers survive
    mov eax, 0x11111111
    mov ecx, 0x22222222
    mov edx, 0x33333333
    mov ebx, 0x44444444
    mov ebp, 0x55555555
    mov esi, 0x66666666
    mov edi, 0x77777777
    stc
    jmp short .with_flags ; some emulators lose flags that were set right before a switch
.with_flags:
    jmp SEL_T1:0
    RESULT eax
    RESULT ecx
    RESULT edx
    RESULT ebx
    RESULT ebp
    RESULT esi
    RESULT edi
    setc al
    movzx eax, al
    RESULT eax
    sub esp, main_stack_end
    RESULT esp
    add esp, main_stack_end
    RESULT_TR
    RESULT_TYPE SEL_T1
    RESULT_TYPE SEL_MAIN
    RESULT_MARKER
    RESULT_NT
    ; CALL and IRET, twice: the task goes on behind its JMP, then behind its IRET
    call SEL_T1:0
    RESULT_NT
    RESULT_TYPE SEL_T1
    RESULT_MARKER
    call far [to_t1]
    RESULT_TR
    ; a task gate in the IDT: by INT, by an exception with an error code, by an interrupt, by an NMI
    int VECTOR_INT
    int VECTOR_INT
    mov eax, [task_ints]
    RESULT eax
    mov ax, 0xfff8
bad_load:
    mov fs, ax
    RESULT_TR
    mov dword [ICR], SELF_INT
    sti
.wait_external:
    pause
    cmp dword [task_externals], 1
    jne .wait_external
    cli
    mov eax, [LAPIC + 0x20]
    mov [ICR2], eax
    mov dword [ICR], NMI
.wait_nmi:
    pause
    cmp dword [task_nmis], 2
    jne .wait_nmi
    RESULT_TR
    ; a 16-bit TSS; its IRET, then behind it
    call SEL_T16:0
    call SEL_T16:0
    movzx eax, word [task_t16_tss + 0x0e]
    RESULT eax
    RESULT_TR
    ; by a gate in the GDT
    call SEL_GATE:0
    RESULT_TR
    ; a fault in the new task, then by the T flag a trap
    jmp SEL_BAD:0
    RESULT_TR
    cmp dword [task_trap], 0
    je .no_trap
    jmp SEL_TRAP:0
.no_trap:
    ; virtual-8086 mode, out of it by #UD; its pages are a user's
    cmp dword [task_paging], PAGING_PAE
    je .no_v86
    jmp SEL_V86:0
.no_v86:
    RESULT_TR
    ; #SS, whose gate is not there: #NP, which makes it #DF
    mov ax, SEL_ABSENT
    mov ss, ax
df_resume:
    RESULT_TR
    sub esp, main_stack_end
    RESULT esp
    jmp back

t1:
    RESULT eax
    RESULT edx
    RESULT edi
    RESULT_TR
    mov eax, cr0
    and eax, CR0_TS
    RESULT eax
    xor eax, eax
    mov ax, ds
    RESULT eax
    mov eax, dr7
    and eax, 0xff
    RESULT eax
    xor eax, eax
    mov dr7, eax
    sldt ax
    RESULT eax
    RESULT_MARKER
    RESULT_NT
    clts
    jmp SEL_MAIN:0
    RESULT_NT
    RESULT_MARKER
    mov eax, [task_t1_tss]
    RESULT eax ; the back link
    RESULT_TYPE SEL_MAIN
    iretd
    mov eax, 0x1234
    RESULT eax
    iretd
    jmp t1_gate

t1_gate:
    RESULT_TR
    iretd

t_int:
    inc dword [task_ints]
    iretd
    jmp t_int

; A fault's error code is on the new task's stack; the old task goes on behind MOV FS, AX.
t_gp:
    pop eax
    RESULT eax
    mov eax, [task_main_tss + 0x20]
    sub eax, bad_load
    RESULT eax
    add dword [task_main_tss + 0x20], 2
    iretd
    jmp t_gp

t_external:
    inc dword [task_externals]
    mov dword [LAPIC + 0xb0], 0
    iretd
    jmp t_external

; The second one waits until the IRET: this task is busy.
t_nmi:
    inc dword [task_nmis]
    cmp dword [task_nmis], 1
    jne .second
    mov eax, [LAPIC + 0x20]
    mov [ICR2], eax
    mov dword [ICR], NMI
    mov ecx, 1000
.spin:
    mov eax, [LAPIC + 0x30]
    loop .spin
    mov eax, [task_nmis]
    RESULT eax
.second:
    iretd
    jmp t_nmi

t_bad:
    ud2
t_trap:
    ud2

t_df:
    pop eax
    RESULT eax
    mov dword [task_main_tss + 0x20], df_resume
    iretd

; What is saved of the task in virtual-8086 mode.
t_ud:
    xor ecx, ecx
    mov cx, [task_ud_tss]
    RESULT ecx
    mov eax, [task_v86_tss + 0x20]
    RESULT eax
    mov eax, [task_v86_tss + 0x24]
    and eax, FLAG_VM
    RESULT eax
    mov eax, [task_v86_tss + 0x28]
    RESULT eax
    mov eax, [task_v86_tss + 0x4c]
    RESULT eax
    jmp SEL_MAIN:0

; By interrupt gates, on the stack of the task that has the fault.
on_np:
    pop eax
    RESULT eax
    pop dword [task_np_eip]
    RESULT_TR
    xor eax, eax
    mov ax, gs ; which could not be loaded
    RESULT eax
    jmp SEL_MAIN:0

on_db:
    mov eax, dr6
    and eax, 0xe000
    RESULT eax
    pop eax
    sub eax, t_trap
    RESULT eax
    RESULT_TR
    jmp SEL_MAIN:0

bits 16
t16:
    RESULT16 ax
    str ax
    RESULT16 ax
    mov ax, fs
    RESULT16 ax
    iret
t16_again:
    RESULT16 sp
    iret
t16_end:

; void task_run(void): down to 32-bit protected mode as task_paging and task_cr3 say, main, and back up.
bits 64
task_run:
    PUSH_KEPT
    mov [saved_rsp], rsp
    mov rax, cr4
    mov [saved_cr4], eax
    lgdt [task_gdt_pointer]
    push SEL_CODE32
    push down
    retfq

bits 32
down:
    mov ax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov esp, main_stack_end
    LONG_MODE_OFF
    mov eax, [saved_cr4]
    and eax, ~(CR4_PAE | CR4_PSE)
    cmp dword [task_paging], PAGING_32
    jne .not_32
    or eax, CR4_PSE
.not_32:
    cmp dword [task_paging], PAGING_PAE
    jne .not_pae
    or eax, CR4_PAE
.not_pae:
    mov cr4, eax
    lidt [task_idt_pointer]
    cmp dword [task_paging], PAGING_NONE
    je .ready
    PAGING_ON [task_cr3]
.ready:
    jmp main

back:
    clts
    LONG_MODE_ON [saved_cr4]
    jmp SEL_CODE64:.long

bits 64
.long:
    mov rsp, [saved_rsp]
    mov eax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    POP_KEPT
    ret

section .data
global task_paging, task_cr3, task_trap, task_entries, task_t16_code
task_paging: dd 0
task_cr3:    dd 0
task_trap:   dd 0
to_t1:       dd 0
             dw SEL_T1
saved_cr4:   dd 0
saved_rsp:   dq 0
; What task.c cannot say: code of 32 and 16 bits, in the order of its enum.
task_entries:
    dd t1, t_int, t_gp, t_external, t_nmi, t_bad, t_trap, t_df, t_ud, on_db, on_np
    dd t16_again - t16, t16_end - t16
task_t16_code: dd t16

section .bss
task_results:   resd 128
task_ints:      resd 1
task_externals: resd 1
task_nmis:      resd 1
task_np_eip:    resd 1
                alignb 16
main_stack:     resb 1024
main_stack_end:

section .note.GNU-stack noalloc noexec nowrite progbits
