"""Stock guests that are not Linux print under Lapwing what they print on a PC."""

from harness import boot_test

# What each prints on a PC of the same make (QEMU's q35 without Lapwing), in this order.
MEMTEST = [r"Memtest86\+ v6\.10", r"L1 Cache:", r"Memory  : +\d+MB", r"CPU: +1 Cores +1 Threads", r"Status: Testing",
           r"Errors: 0"]


@boot_test(limit=120)
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
