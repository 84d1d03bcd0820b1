; void svm_enter(uint64_t vmcb, uint64_t *gpr, uint64_t host_state): into the guest and back (APM Vol. 2, 15.5).
; With GIF clear, IF is set so that a pending interrupt of the host ends the guest at once; it stays pending.
bits 64
default rel
section .text
global svm_enter
svm_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rsi                    ; gpr
    push rdx                    ; host_state
    mov rax, rdi
    clgi
    sti
    vmload
    mov rcx, [rsi + 8]
    mov rdx, [rsi + 16]
    mov rbx, [rsi + 24]
    mov rbp, [rsi + 40]
    mov rdi, [rsi + 56]
    mov r8, [rsi + 64]
    mov r9, [rsi + 72]
    mov r10, [rsi + 80]
    mov r11, [rsi + 88]
    mov r12, [rsi + 96]
    mov r13, [rsi + 104]
    mov r14, [rsi + 112]
    mov r15, [rsi + 120]
    mov rsi, [rsi + 48]
    vmrun
    vmsave
    push rsi
    mov rsi, [rsp + 16]         ; gpr
    mov [rsi + 8], rcx
    mov [rsi + 16], rdx
    mov [rsi + 24], rbx
    mov [rsi + 40], rbp
    pop qword [rsi + 48]
    mov [rsi + 56], rdi
    mov [rsi + 64], r8
    mov [rsi + 72], r9
    mov [rsi + 80], r10
    mov [rsi + 88], r11
    mov [rsi + 96], r12
    mov [rsi + 104], r13
    mov [rsi + 112], r14
    mov [rsi + 120], r15
    pop rax                     ; host_state
    vmload
    cli
    stgi
    pop rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
section .note.GNU-stack noalloc noexec nowrite progbits
