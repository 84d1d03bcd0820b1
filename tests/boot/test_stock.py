"""Stock guests that are not Linux, or not Linux alone, print under Lapwing what they print on a PC."""

from harness import BOTH, IMAGES, boot_test

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


# Longer than the 63 bytes that a module's arguments once had.
DOM0 = "console=hvc0 quiet lapwing.name=dom0 lapwing.run=soft-off " + " ".join(f"lapwing.word{n}=ignored" for n in range(12))


@boot_test(limit=400, machines=BOTH, slow=BOTH)
def xen(session):
    """Xen with a PV dom0, Debian's kernel: its CPUs, its interrupts by the hypervisor, and off by ACPI through Xen."""
    session.boot(f"[guest xen]\nimage = xen\nmodules = vmlinuz {DOM0}, {IMAGES}/initramfs.cpio.gz\n"
                 "cmdline = xen com1=115200,8n1 console=com1 no-real-mode dom0_mem=512M\nmemory = 1G\nvcpus = 2\n", memory="2G")
    session.expect("xen", r"Xen version 4\.17\.\d")
    session.expect("xen", r"Brought up 2 CPUs")
    session.expect("xen", r"guest dom0 up: 2 CPUs")
    session.expect("xen", r"^ *\d+: .* xen-percpu .*timer0")
    session.expect("xen", r"script soft-off done")
    session.ended(xen=("POWEROFF", 0))
