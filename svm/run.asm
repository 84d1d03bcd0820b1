; void svm_enter(uint64_t vmcb, uint64_t *gpr, uint64_t host_state): into the guest and back (APM Vol. 2, 15.5).
; With GIF clear, IF is set so that a pending interrupt of the host ends the guest at once; it stays pending.
%include "lib/regs.inc"
bits 64
default rel
section .text
global svm_enter
svm_enter:
    PUSH_KEPT
    push rsi                    ; gpr
    push rdx                    ; host_state
    mov rax, rdi
    clgi
    sti
    vmload
    LOAD_GPRS rsi
    mov rdi, [rsi + 56]
    mov rsi, [rsi + 48]
    vmrun
    vmsave
    push rsi
    mov rsi, [rsp + 16]         ; gpr
    STORE_GPRS rsi
    pop qword [rsi + 48]
    mov [rsi + 56], rdi
    CLEAR_GPRS
    xor ecx, ecx
    xor edi, edi
    xor r11d, r11d
    xor r12d, r12d
    pop rax                     ; host_state
    vmload
    cli
    stgi
    pop rsi
    POP_KEPT
    ret
section .note.GNU-stack noalloc noexec nowrite progbits
