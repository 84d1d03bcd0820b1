"""The static key of guests without LAPICs (kernel/cpu/key.h)."""

import elf
from harness import BOTH, Failure, boot_test
from root import IMAGE, physical

NOP = bytes.fromhex("0f1f440000")
JMP = b"\xe9"


def key_is(debugger, on):
    """Root's code is that of a key that is on, or off, wherever the key is asked for."""
    sites = elf.key_sites(IMAGE)
    if len(sites) < 10:
        raise Failure(f"the key is asked for in {len(sites)} places only")
    debugger.halt()
    for at, target in sites:
        expected = JMP + (target - at - 5).to_bytes(4, "little", signed=True) if on else NOP
        code = debugger.read(physical(at), 5)
        if code != expected:
            raise Failure(f"the code at 0x{at:x} is {code.hex()}, and not {expected.hex()}")
    debugger.go()


@boot_test(limit=120, machines=BOTH)
def static_key(session):
    """On with the first guest without LAPICs, off after the last, while another guest runs."""
    session.boot("[lapwing]\non-end = stay\nlog = debug\n[guest busy]\nimage = spin.elf\nmemory = 16M\nvcpus = 2\n" +
                 "".join(f"[guest {name}]\nimage = spin.elf\nmemory = 16M\nlapic = off\n" for name in ("a", "b")),
                 debugger=True)
    session.expect("b", r"spin: 1 CPUs spin")
    debugger = session.debugger()
    debugger.go()
    for _ in range(3):
        key_is(debugger, True)
        session.command("stop a", r"a: stopped")
        key_is(debugger, True)
        session.command("stop b", r"key lapic_absent is off on \d CPU")
        session.expect("lapwing", r"b: stopped")
        key_is(debugger, False)
        session.command("start b", r"key lapic_absent is on on \d CPU")
        session.expect("b", r"spin: 1 CPUs spin")
        session.command("start a", r"a: started")
        session.expect("a", r"spin: 1 CPUs spin")
    session.command("poweroff")
    session.ended(busy="STOPPED", a="STOPPED", b="STOPPED")
