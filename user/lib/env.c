#include "user/lib/env.h"

#include "user/lib/syscall.h"

#include "lib/string.h"

uint64_t env_now(void)
{
    return world_tsc();
}

void env_park(uint64_t deadline)
{
    sys_park(deadline);
}

void env_unpark(unsigned slot)
{
    sys_unpark(slot);
}

void env_notify(void)
{
    sys_notify();
}

bool env_apic_msg(uint64_t address, uint32_t data)
{
    return sys_apic_msg(address, data) > 0;
}

void env_extint(bool level)
{
    sys_extint(level);
}

bool env_lapic_read(uint32_t offset, uint32_t *value)
{
    int64_t result = sys_lapic_read(offset);

    *value = (uint32_t)result;
    return result >= 0;
}

bool env_lapic_write(uint32_t offset, uint32_t value)
{
    return sys_lapic_write(offset, value) >= 0;
}

#define VECTOR_SIZE 64

uint64_t env_vector_read(unsigned slot, unsigned n, uint8_t *value)
{
    int64_t xcr0 = sys_vector_read(n);

    memcpy(value, world_page_of(slot)->buffer, VECTOR_SIZE);
    return xcr0 < 0 ? 0 : (uint64_t)xcr0;
}

void env_vector_write(unsigned slot, unsigned n, const uint8_t *value)
{
    memcpy(world_page_of(slot)->buffer, value, VECTOR_SIZE);
    sys_vector_write(n);
}

unsigned env_physical_bits(void)
{
    uint32_t eax = 0x80000008, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    eax &= 0xff;
    return eax < 32 ? 32 : eax > 52 ? 52 : eax;
}

void env_vm_end(enum abi_end reason, uint32_t status)
{
    sys_vm_end(reason, status);
}
