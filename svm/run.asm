; svm_run(): see svm/svm.h (APM Vol. 2, 15.5).
%include "lib/regs.inc"
bits 64
default rel
section .text
global svm_run
extern svm_exited
extern svm_step_intercepts
extern svm_caps

; The frame: svm_run's arguments.
%define VCPU       0
%define VMCB       8
%define VMCB_PA    16
%define HOST_STATE 24
%define FRAME_SIZE 40

; struct vcpu, struct svm_caps
%define GPR        56
%define GPR_RSI    GPR + 48
%define GPR_RDI    GPR + 56
%define NRIP       4

; In the VMCB: svm/vmcb.h.
%define INTERCEPTS        0x08 ; exceptions and intercept1
%define VIRTUAL_INTERRUPT 0x60
%define INTERRUPT_SHADOW  0x68
%define EXIT_CODE         0x70
%define EXIT_INFO1        0x78
%define NEXT_RIP          0xc8
%define RFLAGS            0x570
%define RIP               0x578
%define RAX_              0x5f8

%define EXIT_EXCEPTION0 0x40
%define VECTOR_AC    17
%define EXIT_VINTR   0x64
%define EXIT_CPUID   0x72
%define EXIT_HLT     0x78
%define EXIT_MSR     0x7c
%define V_IRQ        1 << 8 | 1 << 20 ; V_IRQ and V_IGN_TPR
%define RFLAGS_IF    1 << 9
%define RFLAGS_TF    1 << 8
%define MSR_STAR     0xc0000081

svm_run:
    PUSH_KEPT
    sub rsp, 8                  ; aligns the stack for the call
    push rcx
    push rdx
    push rsi
    push rdi

    ; GIF is clear until the last exit, except where svm_exited() sets it for a while: svm_exited() is short. IF is set,
    ; so that a pending interrupt of the host ends the guest at once. The interrupt stays pending.
    clgi
    sti

.again:
    mov rsi, [rsp + VCPU]
    mov rax, [rsp + VMCB_PA]
    vmload
    LOAD_GPRS rsi + GPR
    mov rdi, [rsi + GPR_RDI]
    mov rsi, [rsi + GPR_RSI]
    vmrun
    vmsave
    cmp byte [svm_caps + NRIP], 0
    je .count

.exited:
    push rsi
    mov rsi, [rsp + 8 + VCPU]
    STORE_GPRS rsi + GPR
    pop qword [rsi + GPR_RSI]
    mov [rsi + GPR_RDI], rdi
    CLEAR_GPRS
    xor ecx, ecx
    xor r11d, r11d
    xor r12d, r12d

    mov rax, [rsp + HOST_STATE]
    vmload
    mov rdi, [rsp + VCPU]
    mov rsi, [rsp + VMCB]
    call svm_exited
    test al, al
    jnz .again

    cli
    stgi
    add rsp, FRAME_SIZE
    POP_KEPT
    ret

; The length of the intercepted instruction, on a CPU without nRIP.
;
; The CPU finds out the length: it executes the instruction in the guest. The instruction stands in an interrupt shadow,
; and behind the shadow waits a virtual interrupt that is intercepted (15.21). So prefixes, page tables and what another
; CPU writes into that page need no care.
;
; What the instruction does is lost:
; * Registers are put back. RBX is not: only CPUID writes RBX, and root's answer to CPUID overwrites RBX.
; * RDMSR and WRMSR get the ECX of an MSR that takes any value, and that VMSAVE has saved already.
;
; If RIP has not changed, something else came first. Then that is the exit; but after an exception below #AC, the first
; exit stands, and the length is unknown. If another CPU has put another instruction there meanwhile, all other
; intercepts apply to that instruction.
.count:
    mov rax, [rsp + VMCB]
    cmp dword [rax + EXIT_CODE], EXIT_MSR
    je .step
    cmp dword [rax + EXIT_CODE], EXIT_CPUID
    je .step
    cmp dword [rax + EXIT_CODE], EXIT_HLT
    jne .exited

.step:
    push rcx
    mov rcx, rax
    push rdx
    push qword [rcx + RAX_]
    push qword [rcx + INTERCEPTS]
    push qword [rcx + VIRTUAL_INTERRUPT]
    push qword [rcx + INTERRUPT_SHADOW]
    push qword [rcx + RFLAGS]
    push qword [rcx + RIP]
    push qword [rcx + EXIT_INFO1]
    push qword [rcx + EXIT_CODE]

    mov rdx, [svm_step_intercepts]
    mov [rcx + INTERCEPTS], rdx
    or dword [rcx + VIRTUAL_INTERRUPT], V_IRQ
    mov qword [rcx + INTERRUPT_SHADOW], 1
    and dword [rcx + RFLAGS], ~(RFLAGS_TF)
    or dword [rcx + RFLAGS], RFLAGS_IF
    mov ecx, MSR_STAR
    mov rax, [rsp + 80 + VMCB_PA]
    vmrun

    mov rcx, [rsp + 80 + VMCB]
    mov rdx, [rcx + RIP]
    cmp rdx, [rsp + 16]
    jne .executed
    mov edx, [rcx + EXIT_CODE]
    cmp edx, EXIT_VINTR         ; QEMU 7.2: VMRUN does not load the interrupt shadow
    je .unknown
    sub edx, EXIT_EXCEPTION0    ; an exception: the page, or the instruction in it, has changed
    cmp edx, VECTOR_AC
    jae .not_executed
.unknown:                       ; next_rip is 0: the device world has to decode the instruction
    xor edx, edx
.executed:
    mov [rcx + NEXT_RIP], rdx
    pop qword [rcx + EXIT_CODE]
    pop qword [rcx + EXIT_INFO1]

.put_back:
    pop qword [rcx + RIP]
    pop qword [rcx + RFLAGS]
    pop qword [rcx + INTERRUPT_SHADOW]
    pop qword [rcx + VIRTUAL_INTERRUPT]
    pop qword [rcx + INTERCEPTS]
    pop qword [rcx + RAX_]
    pop rdx
    pop rcx
    jmp .exited

.not_executed:
    add rsp, 16
    jmp .put_back

section .note.GNU-stack noalloc noexec nowrite progbits
