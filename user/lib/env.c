#include "user/lib/env.h"

#include "user/lib/syscall.h"

uint64_t env_now(void) { return world_tsc(); }

void env_park(uint64_t deadline) { sys_park(deadline); }

void env_unpark(unsigned slot) { sys_unpark(slot); }

void env_notify(void) { sys_notify(); }

bool env_apic_msg(uint64_t address, uint32_t data) { return sys_apic_msg(address, data) > 0; }

void env_extint(bool level) { sys_extint(level); }

bool env_lapic_read(uint32_t offset, uint32_t *value)
{
    int64_t result = sys_lapic_read(offset);

    *value = (uint32_t)result;
    return result >= 0;
}

bool env_lapic_write(uint32_t offset, uint32_t value) { return sys_lapic_write(offset, value) >= 0; }

unsigned env_physical_bits(void)
{
    uint32_t eax = 0x80000008, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    eax &= 0xff;
    return eax < 32 ? 32 : eax > 52 ? 52 : eax;
}

void env_vm_end(enum abi_end reason, uint32_t status) { sys_vm_end(reason, status); }
