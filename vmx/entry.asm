; bool vmx_enter(uint64_t *gpr, bool launched): into the guest and back (SDM Vol. 3, 27 and 28). False: VMfail.
bits 64
default rel
%define HOST_RSP 0x6c14
section .text
global vmx_enter
global vmx_exit_entry
vmx_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rdi                    ; gpr
    mov eax, HOST_RSP
    vmwrite rax, rsp
    jbe .failed
    test sil, sil               ; the flag survives the loads below
    mov rax, [rdi]
    mov rcx, [rdi + 8]
    mov rdx, [rdi + 16]
    mov rbx, [rdi + 24]
    mov rbp, [rdi + 40]
    mov rsi, [rdi + 48]
    mov r8, [rdi + 64]
    mov r9, [rdi + 72]
    mov r10, [rdi + 80]
    mov r11, [rdi + 88]
    mov r12, [rdi + 96]
    mov r13, [rdi + 104]
    mov r14, [rdi + 112]
    mov r15, [rdi + 120]
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
    mov [rdi + 8], rcx
    mov [rdi + 16], rdx
    mov [rdi + 24], rbx
    mov [rdi + 40], rbp
    mov [rdi + 48], rsi
    pop qword [rdi + 56]
    mov [rdi + 64], r8
    mov [rdi + 72], r9
    mov [rdi + 80], r10
    mov [rdi + 88], r11
    mov [rdi + 96], r12
    mov [rdi + 104], r13
    mov [rdi + 112], r14
    mov [rdi + 120], r15
    ; Nothing of the guest's is left for root to speculate with.
    xor ecx, ecx
    xor edx, edx
    xor ebx, ebx
    xor ebp, ebp
    xor esi, esi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    mov eax, 1
vmx_out:
    pop rdi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
section .note.GNU-stack noalloc noexec nowrite progbits
