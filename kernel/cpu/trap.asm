; Entry stubs of the 256 vectors, and the way out (SDM Vol. 3, 7.12-7.14).
%include "lib/regs.inc"
bits 64
default rel

extern trap_dispatch, irq_dispatch, user_return, apic_page

%define VECTOR_WAKE 248             ; kernel/cpu/trap.h
%define VECTOR_KICK 243
%define VECTOR_MC   18
%define KERNEL_RSP  8               ; struct percpu
%define IST_HANDLED 132             ; tss.ist[PERCPU_IST_HANDLED]
%define HANDLED_SIZE (4 * 4096)     ; that stack is at least so large
%define EOI         0xb0            ; kernel/cpu/apic.c
%define X2APIC_EOI  0x80b
%define NO_ERROR_CODE -1            ; kernel/cpu/trap.h

; Exceptions that push an error code: 8, 10-14, 17, 21, 29, 30.
%define HAS_ERROR_CODE(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 || (v) == 29 || (v) == 30)
; NMI, #DF and #MC have stacks of their own. They may come anywhere, even between an entry from ring 3 and its SWAPGS.
%define PARANOID(v) ((v) == 2 || (v) == 8 || (v) == 18)

section .text
%macro STUB 1
    align 16
stub_%1:
%if %1 == VECTOR_KICK || %1 == VECTOR_WAKE
    test byte [rsp + 8], 3
    jz kick_in_root
%elif %1 < 32 && !HAS_ERROR_CODE(%1)
    push 0
%elif %1 < 32
    ; The CPU aligns RSP to 16 bytes before it pushes five words and the error code (SDM Vol. 3, 7.14.2). If RSP shows
    ; that there is no error code, this is not the exception but an interrupt.
    test spl, 8
    jz %%pushed
    push NO_ERROR_CODE
%%pushed:
%endif
    push %1
%if %1 == VECTOR_MC
    jmp enter_machine_check
%elif PARANOID(%1)
    jmp enter_paranoid
%elif %1 < 32
    jmp enter
%else
    jmp enter_irq
%endif
%endmacro

%assign v 0
%rep 256
    STUB v
%assign v v + 1
%endrep

; KICK or WAKE in root: it has done its work by coming, so only the EOI is left to do.
kick_in_root:
    push rax
    mov rax, [apic_page]
    test rax, rax
    jz .x2apic
    mov dword [rax + EOI], 0
.out:
    pop rax
    iretq
.x2apic:
    PUSHES rcx, rdx
    mov ecx, X2APIC_EOI
    xor edx, edx                ; EAX is 0 already
    wrmsr
    POPS rdx, rcx
    jmp .out

%macro SAVE 0
    PUSHES rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    cld
%endmacro
%macro RESTORE 0
    POPS r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    add rsp, 16
%endmacro

; Saves only the registers that C code may change: handlers of interrupts get no frame.
%macro SAVE_IRQ 0
    PUSHES rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    mov edi, [rsp + 9 * 8]      ; the vector
    cld
%endmacro
%macro RESTORE_IRQ 0
    POPS r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
    add rsp, 8
%endmacro

; Ring 3 chooses AC, and AC = 1 would switch SMAP off for root. So AC is cleared: this is a NOP of three bytes, which
; trap_use_smap() replaces by CLAC if the CPU has SMAP (kernel/cpu/trap.c). Of the other flags, the gate clears TF, NT
; and RF (SDM Vol. 3, 7.12.1.3), ring 3 can never change IOPL, and the rest mean nothing to root.
%macro CLEAR_AC 0
%%at:
    db 0x0f, 0x1f, 0x00
[section .smap_sites progbits alloc noexec nowrite align=8]
    dq %%at
__?SECT?__
%endmacro

%define FRAME_CS    (18 * 8)
%define FRAME_RSP   (20 * 8)
%define FRAME_WORDS 22              ; struct trap_frame

; If the base of GS lies in the upper half, GS is root's already, and EBX is 0. If not, SWAPGS makes it root's, and EBX
; is 1.
%macro FIND_GS 0
    xor ebx, ebx
    mov ecx, 0xc0000101         ; IA32_GS_BASE
    rdmsr
    test edx, edx
    js %%roots
    swapgs
    inc ebx
%%roots:
%endmacro

enter:
    SAVE
    test byte [rsp + FRAME_CS], 3
    jz .dispatch
    swapgs
    CLEAR_AC
    xor ebp, ebp                ; the frame chain ends here
.dispatch:
    mov rdi, rsp
    call trap_dispatch          ; returns to root from a stray interrupt only
    test byte [rsp + FRAME_CS], 3
    jz .out
    call user_return
    swapgs
.out:
    RESTORE
    iretq

enter_irq:
    SAVE_IRQ
    test byte [rsp + 11 * 8], 3
    jnz .from_user
    call irq_dispatch
    RESTORE_IRQ
    iretq
.from_user:
    swapgs
    CLEAR_AC
    push rbp
    xor ebp, ebp                ; the frame chain ends here
    call irq_dispatch
    call user_return
    pop rbp
    swapgs
    RESTORE_IRQ
    iretq

; The next #MC may come as soon as MCIP is cleared for this one, and the CPU would push its frame over this one's. So
; the frame is moved to another stack first:
;   from ring 3:  to the kernel stack of the thread, which may end then, as by other exceptions in ring 3;
;   from root:    to a stack that is there for this only. If a #MC is being handled on that stack, below what it uses.
enter_machine_check:
    test byte [rsp + 3 * 8], 3  ; CS
    jz .root
    SAVE
    swapgs
    CLEAR_AC
    xor ebp, ebp                ; the frame chain ends here
    mov rsi, rsp
    mov rdi, [gs:KERNEL_RSP]
    sub rdi, FRAME_WORDS * 8
    mov rsp, rdi
    mov ecx, FRAME_WORDS
    rep movsq
    jmp enter.dispatch
.root:
    SAVE
    CLEAR_AC
    FIND_GS
    mov rdi, [gs:IST_HANDLED]
    mov rax, [rsp + FRAME_RSP]
    mov rcx, rdi
    sub rcx, rax
    cmp rcx, HANDLED_SIZE
    cmovb rdi, rax
    and rdi, -16
    sub rdi, FRAME_WORDS * 8
    mov rsi, rsp
    mov rsp, rdi
    mov ecx, FRAME_WORDS
    rep movsq
    jmp enter_paranoid.dispatch

enter_paranoid:
    SAVE
    CLEAR_AC
    FIND_GS
.dispatch:
    mov rdi, rsp
    call trap_dispatch
    test ebx, ebx
    jz .out
    swapgs
.out:
    RESTORE
    iretq

section .rodata
global trap_stubs
trap_stubs:
%assign v 0
%rep 256
    dq stub_%[v]
%assign v v + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
