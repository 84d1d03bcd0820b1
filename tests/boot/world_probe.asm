; What a device world that was taken over would do to read what others left in the CPU. tests/boot/test_security.py puts it
; in place of a function of the world's that no guest there needs; a write of N to port 0x80 jumps here with EDX = N, and
; number N runs. It ends by the exception that refuses it; by #DE if nothing does; by #DB (INT1) if it found the
; pattern of tests/guests/registers.c, which is another guest's.
bits 64
default rel

PATTERN equ 0xc7c7c7c7
SPINS   equ 20000000

; abi/abi.h
SYS_VM_END   equ 10
ABI_END_EXIT equ 2
E_RANGE      equ -6

start:
    movzx edx, dl
    mov ecx, SPINS              ; others get the CPU meanwhile
.spin:
    dec ecx
    jnz .spin
    sub rsp, 8192
    and rsp, -64
    lea rax, [table]
    movsxd rcx, dword [rax + rdx * 4]
    add rax, rcx
    jmp rax

table:
    dd refused - table          ; 0
    dd read_xmm - table         ; 1
    dd read_mm - table          ; 2
    dd read_x87 - table         ; 3
    dd read_fxsave - table      ; 4
    dd read_xsave - table       ; 5
    dd read_mxcsr - table       ; 6
    dd read_ymm - table         ; 7
    dd wait_x87 - table         ; 8
    dd read_fs - table          ; 9
    dd write_gs - table         ; 10
    dd read_pkru - table        ; 11
    dd read_counter - table     ; 12
    dd read_dr - table          ; 13
    dd read_cr2 - table         ; 14
    dd read_msr - table         ; 15
    dd write_xcr0 - table       ; 16
    dd clear_ts - table         ; 17
    dd read_aux - table         ; 18
    dd set_ac - table           ; 19
    dd fault_with_ac - table    ; 20
    dd end_in_others_names - table ; 21

read_xmm:
    movd eax, xmm0
    jmp look
read_mm:
    movd eax, mm0
    jmp look
read_x87:
    fnstenv [rsp]
    mov eax, [rsp + 12]         ; FIP
    jmp look
read_fxsave:
    fxsave64 [rsp]
    mov eax, [rsp + 160]
    jmp look
read_xsave:
    mov eax, -1
    mov edx, eax
    xsave64 [rsp]
    mov eax, [rsp + 160]
    jmp look
read_mxcsr:
    stmxcsr [rsp]
    mov eax, [rsp]
    jmp refused
read_ymm:
    vmovdqu [rsp], ymm0
    mov eax, [rsp + 16]
    jmp look
wait_x87:
    fwait
    jmp refused
read_fs:
    rdfsbase rax
    jmp refused
write_gs:
    wrgsbase rax
    jmp refused
read_pkru:
    xor ecx, ecx
    rdpkru
    jmp look
read_counter:
    xor ecx, ecx
    rdpmc
    jmp refused
read_dr:
    mov rax, dr0
    jmp refused
read_cr2:
    mov rax, cr2
    jmp refused
read_msr:
    mov ecx, 0xc0000082
    rdmsr
    jmp refused
write_xcr0:
    xor ecx, ecx
    mov eax, 1
    xor edx, edx
    xsetbv
    jmp refused
clear_ts:
    clts
    jmp refused
read_aux:
    rdtscp
    test ecx, ecx
    jz refused
    int1

%macro SET_FLAGS 0              ; AC, DF, NT, and IOPL as far as it lets itself be set
    pushfq
    or dword [rsp], 1 << 18 | 1 << 14 | 3 << 12 | 1 << 10
    popfq
%endmacro
set_ac:                         ; for ever
    SET_FLAGS
.spin:
    pause
    jmp .spin
fault_with_ac:
    SET_FLAGS
    ud2

end_in_others_names:            ; no reason of VM_END but those of a device world
    xor ebx, ebx
.next:
    mov edi, ebx
    cmp ebx, 64
    jb .ask
    mov rdi, 0x8000000000000002 ; the exit device, but for its high bits
.ask:
    bt qword [reasons], rbx
    jc .mine
    mov esi, 77
    mov eax, SYS_VM_END
    syscall
    cmp rax, E_RANGE
    je .mine
    int1
.mine:
    inc ebx
    cmp ebx, 65
    jb .next
    mov edi, ABI_END_EXIT
    mov esi, 42
    mov eax, SYS_VM_END
    syscall
    jmp $
reasons dq 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 12

look:
    cmp eax, PATTERN
    jne refused
    int1
refused:
    xor ecx, ecx
    div ecx
