; A program for the test guests: `mark N`, N from 1 to 7, executes the marker of row 0xf000 + N, and `mark 0` the marker that
; ends a row (tests/guests/lib/mark.h). A whole ELF file, static (System V ABI, AMD64 supplement, 3.4), at an address where
; no other program has code, so that a breakpoint there is one of this program's.
bits 64
%define BASE    0x4c500000
%define MARK    0x4c500000
%define ROWS    0xf000
%define SYS_EXIT 60

    org BASE
header:
    db 0x7f, "ELF", 2, 1, 1, 0
    dq 0
    dw 2, 62                    ; ET_EXEC, EM_X86_64
    dd 1
    dq start, program - BASE, 0
    dd 0
    dw program - header, 56, 1, 64, 0, 0
program:
    dd 1, 5                     ; PT_LOAD, R + X
    dq 0, BASE, BASE, end - BASE, end - BASE, 0x1000

; nopl disp32(%rax)
%macro marker 1
    db 0x0f, 0x1f, 0x80
    dd MARK + %1
    ret
%endmacro

start:
    mov edi, 1                  ; exit status of wrong use
    cmp qword [rsp], 2
    jne .exit
    mov rax, [rsp + 16]         ; argv[1]
    movzx eax, byte [rax]
    sub eax, '0'
    cmp eax, 7
    ja .exit
    lea rcx, [rel table]
    lea rax, [rcx + rax * 8]
    call rax
    xor edi, edi
.exit:
    mov eax, SYS_EXIT
    syscall

    align 8
table:
    marker 0
%assign n 1
%rep 7
    marker ROWS + n
%assign n n + 1
%endrep
end:
