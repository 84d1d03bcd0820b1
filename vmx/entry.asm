; vmx_enter(): see vmx/vmx.h (SDM Vol. 3, chapters 27 and 28).
%include "lib/regs.inc"
bits 64
default rel
%define HOST_RSP 0x6c14
section .text
global vmx_enter
global vmx_exit_entry
extern vmx_exited

; The frame, at which HOST_RSP points: two of vmx_enter's arguments.
%define GPR  0
%define VCPU 8

vmx_enter:
    PUSH_KEPT
    push rdx
    push rdi
    mov eax, HOST_RSP
    vmwrite rax, rsp
    jbe .failed

    test sil, sil               ; ZF: not launched. The loads below do not change ZF.
.again:
    mov rax, [rdi]
    LOAD_GPRS rdi
    mov rsi, [rdi + 48]
    mov rdi, [rdi + 56]
    jnz .resume
    vmlaunch
    jmp .failed
.resume:
    vmresume

.failed:                        ; the guest did not run, so gpr is still right
    xor eax, eax
    jmp vmx_exit_entry.out

vmx_exit_entry:
    push rdi
    mov rdi, [rsp + 8 + GPR]
    mov [rdi], rax
    STORE_GPRS rdi
    mov [rdi + 48], rsi
    pop qword [rdi + 56]
    CLEAR_GPRS
    xor ecx, ecx
    xor r11d, r11d
    xor r12d, r12d

    mov rdi, [rsp + VCPU]
    call vmx_exited
    mov rdi, [rsp + GPR]
    test al, al
    jnz vmx_enter.again

    mov eax, 1
.out:
    add rsp, 16
    POP_KEPT
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
