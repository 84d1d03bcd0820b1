; Entry stubs of the 256 vectors, and the way out (SDM Vol. 3, 7.12-7.14).
bits 64
default rel

extern trap_dispatch, irq_dispatch, user_return, apic_page

%define VECTOR_KICK 243             ; kernel/trap.h
%define EOI         0xb0            ; kernel/apic.c
%define X2APIC_EOI  0x80b

; Exceptions that push an error code: 8, 10-14, 17, 21, 29, 30.
%define HAS_ERROR_CODE(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 || (v) == 29 || (v) == 30)
; These have stacks of their own and may come anywhere, between SWAPGS and its use too.
%define PARANOID(v) ((v) == 2 || (v) == 8 || (v) == 18)

section .text
%macro STUB 1
    align 16
stub_%1:
%if !HAS_ERROR_CODE(%1)
    push 0
%endif
    push %1
%if PARANOID(%1)
    jmp enter_paranoid
%else
    jmp enter
%endif
%endmacro

; Interrupts: no error code.
%macro IRQ_STUB 1
    align 16
stub_%1:
    push %1
    jmp enter_irq
%endmacro

; In root a kick has done all it was for by coming.
%macro KICK_STUB 0
    align 16
stub_243:
    test byte [rsp + 8], 3
    jz .in_root
    push VECTOR_KICK
    jmp enter_irq
.in_root:
    push rax
    mov rax, [apic_page]
    test rax, rax
    jz .x2apic
    mov dword [rax + EOI], 0
    pop rax
    iretq
.x2apic:
    push rcx
    push rdx
    mov ecx, X2APIC_EOI
    xor edx, edx                ; and EAX is 0
    wrmsr
    pop rdx
    pop rcx
    pop rax
    iretq
%endmacro

%assign v 0
%rep 32
    STUB v
%assign v v + 1
%endrep
%rep 224
%if v == VECTOR_KICK
    KICK_STUB
%else
    IRQ_STUB v
%endif
%assign v v + 1
%endrep

%macro SAVE 0
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
%endmacro

%macro RESTORE 0
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
%endmacro

%define FRAME_CS (18 * 8)

enter:
    SAVE
    test byte [rsp + FRAME_CS], 3
    jz .from_root
    swapgs
    xor ebp, ebp                ; the frame chain ends here
    mov rdi, rsp
    call trap_dispatch
    call user_return
    swapgs
    RESTORE
    iretq
.from_root:
    mov rdi, rsp
    call trap_dispatch
    RESTORE
    iretq

; What C may change, and no more: handlers see no frame.
%macro SAVE_IRQ 0
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    mov edi, [rsp + 9 * 8]      ; the vector
    cld
%endmacro

%macro RESTORE_IRQ 0
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
%endmacro

enter_irq:
    SAVE_IRQ
    test byte [rsp + 11 * 8], 3
    jnz .from_user
    call irq_dispatch
    RESTORE_IRQ
    iretq
.from_user:
    swapgs
    push rbp
    xor ebp, ebp                ; the frame chain ends here
    call irq_dispatch
    call user_return
    pop rbp
    swapgs
    RESTORE_IRQ
    iretq

; GS is root's if its base lies in the upper half.
enter_paranoid:
    SAVE
    xor ebx, ebx
    mov ecx, 0xc0000101
    rdmsr
    test edx, edx
    js .have_gs
    swapgs
    inc ebx
.have_gs:
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
