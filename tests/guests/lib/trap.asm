; Exceptions and interrupts to trap_dispatch(), and a way back from those that a guest provokes.
%include "lib/regs.inc"
extern trap_dispatch, trap_catches
global trap_stubs, catch_call, catch_return
bits 64

section .text

; 256 entries of 16 bytes. Where the CPU pushes no error code, 0 is pushed in its place.
align 16
trap_stubs:
%assign vector 0
%rep 256
    align 16
%if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
    push 0
%endif
    push vector
    jmp near trap_common
%assign vector vector + 1
%endrep

trap_common:
    cld
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    mov rdi, rsp
    mov rbx, rsp
    and rsp, ~15
    call trap_dispatch
    mov rsp, rbx
    pop rax
    pop rbx
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    pop rbp
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    add rsp, 16
    iretq

; int catch_call(void (*f)(void *), void *argument, struct catch **slot, struct catch *c): see trap.h
catch_call:
    PUSH_KEPT
    push rdx
    pushfq
    pop qword [rcx + 8]
    mov [rcx], rsp
    mov [rdx], rcx
    mov rax, rdi
    mov rdi, rsi
    sub rsp, 8
    call rax
    add rsp, 8
    mov rax, -1
; trap_dispatch() comes here with RSP of c and RAX = vector.
catch_return:
    pop rdx
    mov qword [rdx], 0
    POP_KEPT
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
