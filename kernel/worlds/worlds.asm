; The images of the worlds, each on its own pages: their text and constants are mapped into ring 3 from here.
section .rodata.worlds progbits alloc noexec nowrite align=4096
global device_image, control_image
    align 4096
device_image:
    incbin "build/user/device.bin"
    align 4096, db 0
control_image:
    incbin "build/user/control.bin"
    align 4096, db 0
section .note.GNU-stack noalloc noexec nowrite progbits
