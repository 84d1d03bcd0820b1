; bool vmx_enter(uint64_t *gpr, bool launched): into the guest and back (SDM Vol. 3, 27 and 28). False: VMfail.
%include "lib/regs.inc"
bits 64
default rel
%define HOST_RSP 0x6c14
section .text
global vmx_enter
global vmx_exit_entry
vmx_enter:
    PUSH_KEPT
    push rdi                    ; gpr
    mov eax, HOST_RSP
    vmwrite rax, rsp
    jbe .failed
    test sil, sil               ; the flag survives the loads below
    mov rax, [rdi]
    LOAD_GPRS rdi
    mov rsi, [rdi + 48]
    mov rdi, [rdi + 56]
    jnz .resume
    vmlaunch
    jmp .failed
.resume:
    vmresume
.failed:                        ; the guest did not run: what its registers would hold is in gpr still
    xor eax, eax
    jmp vmx_out
vmx_exit_entry:
    push rdi
    mov rdi, [rsp + 8]          ; gpr
    mov [rdi], rax
    STORE_GPRS rdi
    mov [rdi + 48], rsi
    pop qword [rdi + 56]
    CLEAR_GPRS
    xor ecx, ecx
    xor r11d, r11d
    xor r12d, r12d
    mov eax, 1
vmx_out:
    pop rdi
    POP_KEPT
    ret
section .note.GNU-stack noalloc noexec nowrite progbits
