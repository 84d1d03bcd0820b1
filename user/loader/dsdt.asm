; The compiled DSDT.
section .rodata progbits alloc noexec nowrite align=8
global dsdt_start, dsdt_end
dsdt_start:
    incbin "build/user/dsdt.aml"
dsdt_end:
section .note.GNU-stack noalloc noexec nowrite progbits
