"""Root's variables, read and written from outside, and all that it has given out of what it has."""

import os

import elf
from harness import BUILD, Failure

IMAGE = os.path.join(BUILD, "lapwing.elf")

# kernel/base/layout.h, abi/abi.h
KERNEL_BASE = 0xffffffff80000000
DIRECT_MAP_BASE = 0xffff800000000000
WORLD_CONSOLE_BASE = 0x200000000
MAX_VMS, MAX_CPUS, MAX_VCPUS = 64, 256, 255
CONSOLE_PAGES = 2

# An entry of a page table (SDM Vol. 3, 4.5.4).
PRESENT = 1
ADDRESS = 0x000ffffffffff000


def physical(address):
    """Of an address in root's image or pool."""
    return address - KERNEL_BASE if address >= KERNEL_BASE else address - DIRECT_MAP_BASE


class Root:
    """By way of a debugger that is attached; the machine runs between calls."""

    def __init__(self, debugger):
        self._debugger = debugger

    def fail_allocation(self, n):
        """Root's n-th allocation from now will fail; 0: none will."""
        self._debugger.halt()
        self._debugger.write(physical(elf.symbol(IMAGE, "mem_fail_in")), n.to_bytes(4, "little"))
        self._debugger.go()

    def stop_at(self, name):
        """Of a machine that stands still: run until a CPU comes to a function of root's."""
        self._debugger.stop_at(*elf.function(IMAGE, name))

    def change(self, variable, field, value, size):
        """Write a field, "structure.field", of a variable of root's, with the machine stopped; then let it run."""
        address = elf.symbol(IMAGE, variable) + elf.offset(IMAGE, field)
        self._debugger.write(physical(address), (value & (1 << 8 * size) - 1).to_bytes(size, "little"))
        self._debugger.go()

    def replace(self, variable, index, value, size):
        """An entry of a table of root's, constant or not; the machine runs before and afterwards. The entry that was there."""
        address = elf.symbol(IMAGE, variable) + index * size
        self._debugger.halt()
        before = self._number(address, size)
        self._debugger.write(physical(address), value.to_bytes(size, "little"))
        self._debugger.go()
        return before

    def vms(self):
        """How many there are."""
        self._debugger.halt()
        count = self._vms()
        self._debugger.go()
        return count

    def exits(self, names):
        """{reason: exits} of all vCPUs of all guests; names are the reasons'. Of a machine that stands still."""
        counts = dict.fromkeys(names, 0)
        for vm in filter(None, self._numbers(elf.symbol(IMAGE, "vms"), MAX_VMS)):
            for vcpu in filter(None, self._numbers(vm + elf.offset(IMAGE, "vm.vcpus"), MAX_VCPUS)):
                for name, count in zip(names, self._numbers(vcpu + elf.offset(IMAGE, "vcpu.exits"), len(names))):
                    counts[name] += count
        return counts

    def snapshot(self):
        """{what: how much, or which} for everything that guests are made of. Of no use while a guest is alive."""
        self._debugger.halt()
        try:
            return self._snapshot()
        finally:
            self._debugger.go()

    def _number(self, address, size=8):
        return int.from_bytes(self._debugger.read(physical(address), size), "little")

    def _numbers(self, address, count):
        data = self._debugger.read(physical(address), count * 8)
        return [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]

    def _field(self, base, path, size=8):
        return self._number(base + elf.offset(IMAGE, path), size)

    def _snapshot(self):
        cpus = [area for area in self._numbers(elf.symbol(IMAGE, "percpu_areas"), MAX_CPUS) if area]
        control = self._number(elf.symbol(IMAGE, "control_world"))
        worker = self._field(control, "world.worker")
        state = {
            "pages free": self._field(elf.symbol(IMAGE, "pool"), "buddy.free"),
            "guest frames free": self._field(elf.symbol(IMAGE, "frames"), "framemap.free"),
            "kernel stacks": sum(word.bit_count() for word in self._numbers(elf.symbol(IMAGE, "used"), 512)),
            "VMs": self._vms(),
            "vCPUs without LAPICs": self._number(elf.symbol(IMAGE, "lapic_absent") + elf.offset(IMAGE, "key.count"), 4),
            "console pages in control": self._consoles(control),
            "timers": self._timers(worker),
            "runnable threads": sum((self._runnable(cpu, worker) for cpu in cpus), []),
            "owners of FPUs": [self._field(cpu, "percpu.fpu_owner") for cpu in cpus],
            "VMCSs in CPUs": [],
            "ASIDs": [],
        }
        svm = self._number(elf.symbol(IMAGE, "backend")) == elf.symbol(IMAGE, "svm")
        for cpu in cpus:
            own = self._field(cpu, "percpu.backend")
            pool = own + elf.offset(IMAGE, "svm_cpu.asids" if svm else "vmx_cpu.vpids")
            state["ASIDs"].append((self._field(pool, "asid_pool.generation"), self._field(pool, "asid_pool.next", 4)))
            if not svm:
                state["VMCSs in CPUs"].append(self._field(own, "vmx_cpu.current"))
        return state

    def _vms(self):
        return sum(vm != 0 for vm in self._numbers(elf.symbol(IMAGE, "vms"), MAX_VMS))

    def _consoles(self, control):
        """How many pages of guests' consoles control's table maps."""
        top = self._field(control, "world.pt")
        pages = 0
        for page in range(MAX_VMS * CONSOLE_PAGES):
            address = WORLD_CONSOLE_BASE + page * 4096
            if address % (512 * 4096) == 0 or page == 0:
                table = physical(top)
                for level in (3, 2, 1):
                    entry = self._debugger.read(table + (address >> (12 + 9 * level) & 511) * 8, 8)
                    table = int.from_bytes(entry, "little") & ADDRESS if entry[0] & PRESENT else None
                    if table is None:
                        break
                entries = self._debugger.read(table, 4096) if table else bytes(4096)
            pages += entries[(address >> 12 & 511) * 8] & PRESENT
        return pages

    def _tree(self, tree):
        """The nodes of a red-black tree."""
        todo, nodes = [self._field(tree, "rb_tree.root")], []
        while todo:
            node = todo.pop()
            if node:
                nodes.append(node)
                todo += self._numbers(node + elf.offset(IMAGE, "rb_node.child"), 2)
        return nodes

    def _timers(self, worker):
        """Which timers are queued, control's own aside."""
        to_node = elf.offset(IMAGE, "timer.node") + elf.offset(IMAGE, "timer_node.node")
        timers = []
        for queue in self._numbers(elf.symbol(IMAGE, "timers"), MAX_CPUS):
            if queue:
                tree = queue + elf.offset(IMAGE, "cpu_timers.queue") + elf.offset(IMAGE, "timerq.tree")
                timers += [node - to_node for node in self._tree(tree)]
        return [timer for timer in timers if timer != worker + elf.offset(IMAGE, "thread.deadline")]

    def _runnable(self, cpu, worker):
        """Which threads run or are to run on a CPU, control's own aside."""
        queue = self._field(cpu, "percpu.schedule") + elf.offset(IMAGE, "schedule.rq")
        to_node = elf.offset(IMAGE, "sched_entity.node")
        entities = [node - to_node for node in self._tree(queue + elf.offset(IMAGE, "sched_rq.tree"))]
        entities.append(self._field(queue, "sched_rq.current"))
        return [e for e in entities if e and e != worker + elf.offset(IMAGE, "thread.se")]


def compare(before, after, but=()):
    """Fail if two snapshots differ, other than in what `but` names."""
    for what, value in before.items():
        if what not in but and after[what] != value:
            raise Failure(f"{what}: were {value}, are {after[what]}")
