"""Stock guests that are not Linux print under Lapwing what they print on a PC."""

from harness import BOTH, boot_test

# What each prints on a PC of the same make (QEMU's q35 without Lapwing), in this order.
MEMTEST = [r"Memtest86\+ v6\.10", r"L1 Cache:", r"Memory  : +\d+MB", r"CPU: +1 Cores +1 Threads", r"Status: Testing",
           r"Errors: 0"]
GNUMACH = [r"GNU Mach 1\.8\+git20221224-486", r"biosmem: physical memory map:",
           r"biosmem: 0+:0*9[0-9a-f]{3,}, available", r"biosmem: 0*100000:0*[0-9a-f]+, available",
           r"vm_page: page table size: \d+ entries", r"vm_page: DMA: pages: \d+", r"RTC time is 20\d\d-\d\d-\d\d",
           r"panic \.\./kern/bootstrap\.c:181: bootstrap_create: No bootstrap code loaded with the kernel!"]


@boot_test(limit=120, machines=BOTH)
def memtest(session):
    """memtest86+ draws its screen on the serial port, times the memory and begins to test it."""
    session.boot("[guest mem]\nimage = memtest86+\ncmdline = console=ttyS0,115200\nmemory = 64M\n")
    for pattern in MEMTEST:
        session.expect("mem", pattern)
    # Work goes on: the display changes.
    before = len(session.transcript.text("mem"))
    session.sleep(3)
    if len(session.transcript.text("mem")) == before:
        session.expect("mem", r".", 10)
    session.command("stop mem")
    session.command("poweroff")
    session.ended(mem="STOPPED")


@boot_test(limit=90, machines=BOTH)
def gnumach(session):
    """GNU Mach, multiboot1, comes as far as it does without a bootstrap module."""
    session.boot("[guest mach]\nimage = gnumach\ncmdline = console=com0\nmemory = 128M\n")
    for pattern in GNUMACH:
        session.expect("mach", pattern)
    session.command("stop mach")
    session.command("poweroff")
    session.ended(mach="STOPPED")
