; What a SIPI of the lapic guest starts: real mode, copied to two pages, so that the CPU can say which one it was.
; The report is struct report in lapic/startup.c, in memory that real mode reaches.
global probe, probe_end, probe_saved

REPORT  equ 0x7000
STARTS  equ REPORT + 0  ; how often it was started
START   equ REPORT + 4  ; CS of the last start
BEATS   equ REPORT + 8  ; goes up while it runs
ORDER   equ REPORT + 12 ; what to do
NMIS    equ REPORT + 16
WOKEN   equ REPORT + 20 ; how often HLT ended
INSIDE  equ REPORT + 24 ; in the NMI handler, and stays there until HOLD is 0
HOLD    equ REPORT + 28
CR0_WAS equ REPORT + 32
FLAGS   equ REPORT + 36
DEBUGS  equ REPORT + 40 ; #DB, which nobody asked for
STACK   equ 0x6ff0

ORDER_SPIN     equ 0
ORDER_HLT      equ 1
ORDER_HLT_OPEN equ 2
ORDER_CACHE    equ 3 ; CR0.CD and NW set: an INIT leaves them
CR0_CD_NW      equ 0x60000000

section .rodata
bits 16
%define SAVED(n) [cs:probe_saved - probe + 4 * (n)]
%macro SAVE 2
    mov eax, %2
    mov SAVED(%1), eax
%endmacro
%macro SAVE_SEGMENT 2
    mov eax, 0
    mov ax, %2
    mov SAVED(%1), eax
%endmacro

; MOV leaves RFLAGS as they are.
probe:
    mov SAVED(0), eax
    SAVE 1, ebx
    SAVE 2, ecx
    SAVE 3, edx
    SAVE 4, esi
    SAVE 5, edi
    SAVE 6, ebp
    SAVE 7, esp
    SAVE_SEGMENT 8, ds
    SAVE_SEGMENT 9, es
    SAVE_SEGMENT 10, fs
    SAVE_SEGMENT 11, gs
    SAVE_SEGMENT 12, ss
    SAVE 13, cr2
    SAVE 14, cr3
    SAVE 15, cr4
    SAVE 16, dr6
    SAVE 17, dr7
    sgdt SAVED(18)
    sidt SAVED(20)
    mov ax, 0
    mov ds, ax
    mov ss, ax
    mov sp, STACK
    mov eax, cr0
    mov [CR0_WAS], eax
    pushfd
    pop dword [FLAGS]
    mov [START], cs
    mov word [2 * 4], probe_nmi - probe
    mov [2 * 4 + 2], cs
    mov word [1 * 4], probe_debug - probe
    mov [1 * 4 + 2], cs
    inc dword [STARTS]
.loop:
    inc dword [BEATS]
    pause
    cmp dword [ORDER], ORDER_HLT
    je .hlt
    cmp dword [ORDER], ORDER_HLT_OPEN
    jne .cache
    sti
    hlt
    cli
    jmp .woken
.cache:
    cmp dword [ORDER], ORDER_CACHE
    jne .loop
    mov eax, cr0
    or eax, CR0_CD_NW
    mov cr0, eax
    jmp .loop
.hlt:
    hlt
.woken:
    inc dword [WOKEN]
    jmp .loop

probe_nmi:
    inc dword [NMIS]
    mov dword [INSIDE], 1
.hold:
    pause
    cmp dword [HOLD], 0
    jne .hold
    mov dword [INSIDE], 0
    iret

probe_debug:
    inc dword [DEBUGS]
    iret

align 4
probe_saved:
    times 22 dd 0
probe_end:

section .note.GNU-stack noalloc noexec nowrite progbits
