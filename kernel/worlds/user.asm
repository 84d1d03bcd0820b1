; To ring 3 and back: system calls (SDM Vol. 2, SYSCALL and SYSRET), upcalls, and the switch between threads.
%include "lib/regs.inc"
bits 64
default rel

; struct percpu
%define GS_KERNEL_RSP 8
%define GS_USER_RSP   16
%define GS_CURRENT    32
%define GS_TSS_RSP0   76
; struct thread
%define USER_RSP0     0
%define VCPU          8

%define USER_FLAGS    0x202

extern syscall_dispatch

section .text

; int64_t user_enter(uint64_t rip, uint64_t rsp, uint64_t arg)
; Leaves a frame on the stack, to which user_leave() returns. Traps and system calls from ring 3 begin below that frame.
global user_enter
user_enter:
    PUSH_KEPT
    mov rax, [gs:GS_CURRENT]
    mov [rax + USER_RSP0], rsp
    mov [gs:GS_KERNEL_RSP], rsp
    mov [gs:GS_TSS_RSP0], rsp
    mov rcx, rdi
    mov rdi, rdx
    mov rsp, rsi
    mov r11d, USER_FLAGS
    CLEAR_GPRS
    xor r12d, r12d
    swapgs
    o64 sysret

; Returns from user_enter(). RCX: the current thread; RAX: the result.
%macro LEAVE_USER 0
    mov rsp, [rcx + USER_RSP0]
    and qword [rcx + USER_RSP0], 0
    POP_KEPT
    ret
%endmacro

; _Noreturn void user_leave(int64_t result)
global user_leave
user_leave:
    mov rax, rdi
    mov rcx, [gs:GS_CURRENT]
    LEAVE_USER

; SYS_REPLY of a vCPU's thread returns from user_enter() right here, as no register of its caller's is needed any more.
global syscall_entry
syscall_entry:
    swapgs
    mov [gs:GS_USER_RSP], rsp
    test rax, rax               ; SYS_REPLY, OK
    jnz .call
    mov rsp, [gs:GS_CURRENT]
    cmp [rsp + VCPU], rax
    jz .call
    mov rcx, rsp
    LEAVE_USER
.call:
    mov rsp, [gs:GS_KERNEL_RSP]
    push qword [gs:GS_USER_RSP]
    push rcx
    push r11
    push rdi
    push rsi
    push rdx
    push r8
    push r9
    push r10
    push rbp
    xor ebp, ebp                ; the frame chain ends here
    mov rcx, r10
    mov r8, rax
    call syscall_dispatch       ; (a, b, c, d, number)
    pop rbp
    pop r10
    pop r9
    pop r8
    pop rdx
    pop rsi
    pop rdi
    pop r11
    pop rcx
    pop rsp
    swapgs
    o64 sysret

; void thread_switch(uint64_t *save_rsp, uint64_t rsp)
global thread_switch
thread_switch:
    PUSH_KEPT
    mov [rdi], rsp
    mov rsp, rsi
    POP_KEPT
    ret

; The first switch to a new thread returns to here, with the thread in RBX. Calls thread_begin(thread).
extern thread_begin
global thread_start_stub
thread_start_stub:
    mov rdi, rbx
    xor ebp, ebp
    call thread_begin
    ud2

section .note.GNU-stack noalloc noexec nowrite progbits
