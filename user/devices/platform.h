/*
 * The addresses and interrupt lines of the PC that a guest sees. The device models decode these addresses. The loader
 * writes the same ones into the ACPI tables, the MP configuration and the data of the boot protocols. They are plain
 * numbers, so that ASL can use them too.
 */
#ifndef USER_DEVICES_PLATFORM_H
#define USER_DEVICES_PLATFORM_H

/* Interrupt controllers. A LAPIC's id is its vCPU's number. */
#define PLATFORM_IOAPIC_BASE 0xfec00000
#define PLATFORM_IOAPIC_ID   0
#define PLATFORM_IOAPIC_PINS 24 /* global system interrupts 0..23 */
#define PLATFORM_LAPIC_BASE  0xfee00000

/*
 * ISA interrupt lines. Line n is input n of the 8259 pair and pin n of the IOAPIC, with one exception: line 0 is pin 2
 * of the IOAPIC (an interrupt source override in the MADT). Pin 0 is the 8259s' INTR output, for an ExtINT entry. ISA
 * lines are edge triggered and active high; the SCI is level triggered and active high.
 */
#define PLATFORM_IRQ_PIT       0
#define PLATFORM_IRQ_PIT_PIN   2
#define PLATFORM_IRQ_KEYBOARD  1
#define PLATFORM_IRQ_CASCADE   2
#define PLATFORM_IRQ_COM1      4
#define PLATFORM_IRQ_RTC       8
#define PLATFORM_IRQ_SCI       9
#define PLATFORM_IRQ_LINES     16
#define PLATFORM_IOAPIC_EXTINT 0

/* ACPI fixed hardware (ACPI 6.4, 4.8). There is no SMI command port: SCI_EN always reads as one. */
#define PLATFORM_PM1A_EVT     0x600
#define PLATFORM_PM1A_EVT_LEN 4
#define PLATFORM_PM1A_CNT     0x604
#define PLATFORM_PM1A_CNT_LEN 2
#define PLATFORM_PM_TMR       0x608
#define PLATFORM_PM_TMR_LEN   4 /* 32 bits: TMR_VAL_EXT is set in the FADT */
#define PLATFORM_PM_TMR_HZ    3579545
#define PLATFORM_GPE0         0x620
#define PLATFORM_GPE0_LEN     4
#define PLATFORM_SLP_TYP_S5   5 /* the only sleep state: \_S5 in the DSDT */
#define PLATFORM_RESET_PORT   0xcf9
#define PLATFORM_RESET_VALUE  6

/* Other ports. */
#define PLATFORM_PIC_MASTER   0x20
#define PLATFORM_PIC_SLAVE    0xa0
#define PLATFORM_ELCR         0x4d0
#define PLATFORM_PIT          0x40
#define PLATFORM_PORT_B       0x61
#define PLATFORM_I8042_DATA   0x60
#define PLATFORM_I8042_STATUS 0x64
#define PLATFORM_RTC          0x70
#define PLATFORM_RTC_CENTURY  0x32 /* CMOS index, FADT.CENTURY */
#define PLATFORM_POST         0x80
#define PLATFORM_PORT_A       0x92
#define PLATFORM_EXIT         0xf4 /* if the guest's config says exit-device = on */
#define PLATFORM_VGA          0x3c0
#define PLATFORM_COM1         0x3f8
#define PLATFORM_PCI_ADDRESS  0xcf8
#define PLATFORM_PCI_DATA     0xcfc

#endif
