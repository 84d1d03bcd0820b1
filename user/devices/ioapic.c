#include "user/devices/ioapic.h"

#include "user/devices/bus.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

/* Memory-mapped registers and what IOREGSEL selects (82093AA, 3.1 and 3.2). */
#define IOREGSEL    0x00
#define IOWIN       0x10
#define IOAPICID    0x00
#define IOAPICVER   0x01
#define IOAPICARB   0x02
#define IOREDTBL    0x10
#define VERSION     0x11u
#define ID_MASK     0x0f000000u
#define REGION_SIZE 0x1000

/* Redirection table entries. */
#define ENTRY_VECTOR      0xffull
#define ENTRY_DELIVERY    0x700ull
#define ENTRY_LOGICAL     BIT(11)
#define ENTRY_PENDING     BIT(12) /* delivery status */
#define ENTRY_ACTIVE_LOW  BIT(13)
#define ENTRY_REMOTE_IRR  BIT(14)
#define ENTRY_LEVEL       BIT(15)
#define ENTRY_MASKED      BIT(16)
#define ENTRY_DESTINATION (0xffull << 56)
#define ENTRY_WRITABLE_LOW                                                                                             \
    (ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LOGICAL | ENTRY_ACTIVE_LOW | ENTRY_LEVEL | ENTRY_MASKED)

#define DELIVERY_FIXED  0x000u
#define DELIVERY_LOWEST 0x100u
#define DELIVERY_NMI    0x400u
#define DELIVERY_INIT   0x500u

/* Message address and data (SDM Vol. 3, 11.11). */
#define MSI_ADDRESS           0xfee00000ull
#define MSI_DESTINATION_SHIFT 12
#define MSI_REDIRECTION_HINT  BIT(3)
#define MSI_LOGICAL           BIT(2)
#define MSI_ASSERT            BIT(14)
#define MSI_LEVEL             BIT(15)

static struct {
    uint8_t select;
    uint32_t id;
    uint32_t levels; /* pins that are asserted */
    uint64_t entries[PLATFORM_IOAPIC_PINS];
} ioapic;

/*
 * Polarity is kept, not obeyed: a pin's input here is "asserted", and a guest that programs the other polarity for a
 * line means the same line as it is wired, not its inverse. A PC's chipset has no inverter either, but its ISA lines
 * are fixed and guests that get them wrong are in use.
 */

static void entry_send(unsigned pin)
{
    uint64_t entry = ioapic.entries[pin];
    uint64_t delivery = entry & ENTRY_DELIVERY;
    uint64_t address = MSI_ADDRESS | entry >> 56 << MSI_DESTINATION_SHIFT;
    bool level = entry & ENTRY_LEVEL;
    bool taken;

    if (entry & ENTRY_LOGICAL)
        address |= MSI_LOGICAL;
    if (delivery == DELIVERY_LOWEST)
        address |= MSI_REDIRECTION_HINT;
    taken = env_apic_msg(address,
                         (uint32_t)((entry & (ENTRY_VECTOR | ENTRY_DELIVERY)) | MSI_ASSERT | (level ? MSI_LEVEL : 0)));

    ioapic.entries[pin] &= ~ENTRY_PENDING;
    if (!level)
        return;
    /* Only these two end in an EOI message. The rest behave as edges, whatever the trigger mode says (3.2.4). */
    if (delivery != DELIVERY_FIXED && delivery != DELIVERY_LOWEST)
        return;
    ioapic.entries[pin] |= taken ? ENTRY_REMOTE_IRR : ENTRY_PENDING;
}

/* Send a level-triggered interrupt that is due. */
static void entry_update(unsigned pin)
{
    uint64_t entry = ioapic.entries[pin];

    if (!(ioapic.levels & BIT(pin)))
        ioapic.entries[pin] &= ~ENTRY_PENDING;
    else if ((entry & ENTRY_LEVEL) && !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
        entry_send(pin);
}

void ioapic_set(unsigned pin, bool level)
{
    bool was = ioapic.levels & BIT(pin);

    if (level == was)
        return;
    ioapic.levels ^= (uint32_t)BIT(pin);
    /* An edge at a masked pin is lost (3.2.4, Interrupt Mask). */
    if (level && !(ioapic.entries[pin] & (ENTRY_LEVEL | ENTRY_MASKED)))
        entry_send(pin);
    else
        entry_update(pin);
}

void ioapic_eoi(uint8_t vector)
{
    for (unsigned pin = 0; pin < PLATFORM_IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic.entries[pin];

        if ((entry & ENTRY_VECTOR) != vector || !(entry & ENTRY_LEVEL) || !(entry & ENTRY_REMOTE_IRR))
            continue;
        ioapic.entries[pin] &= ~ENTRY_REMOTE_IRR;
        entry_update(pin);
    }
}

bool ioapic_may_wake(void)
{
    for (unsigned pin = 0; pin < PLATFORM_IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic.entries[pin], delivery = entry & ENTRY_DELIVERY;

        if (!(entry & ENTRY_MASKED) && (delivery == DELIVERY_NMI || delivery == DELIVERY_INIT))
            return true;
    }
    return false;
}

static uint32_t register_read(uint8_t select)
{
    unsigned entry = (select - IOREDTBL) / 2u;

    switch (select) {
    case IOAPICID:
    case IOAPICARB:
        return ioapic.id;
    case IOAPICVER:
        return VERSION | (PLATFORM_IOAPIC_PINS - 1) << 16;
    }
    if (select < IOREDTBL || entry >= PLATFORM_IOAPIC_PINS)
        return UINT32_MAX;
    return (uint32_t)(ioapic.entries[entry] >> (select & 1 ? 32 : 0));
}

static void register_write(uint8_t select, uint32_t value)
{
    unsigned pin = (select - IOREDTBL) / 2u;
    uint64_t *entry;

    if (select == IOAPICID)
        ioapic.id = value & ID_MASK;
    if (select < IOREDTBL || pin >= PLATFORM_IOAPIC_PINS)
        return;
    entry = &ioapic.entries[pin];
    if (select & 1) {
        *entry = (*entry & UINT32_MAX) | ((uint64_t)value << 32 & ENTRY_DESTINATION);
    } else {
        *entry = (*entry & ~ENTRY_WRITABLE_LOW) | (value & ENTRY_WRITABLE_LOW);
        /* Edge mode has no Remote IRR; Linux clears a stuck one by going through edge mode. */
        if (!(*entry & ENTRY_LEVEL))
            *entry &= ~(ENTRY_REMOTE_IRR | ENTRY_PENDING);
        entry_update(pin);
    }
}

static uint32_t ioapic_read(uint32_t offset, unsigned bytes)
{
    uint32_t value;

    switch (offset & ~3u) {
    case IOREGSEL:
        value = ioapic.select;
        break;
    case IOWIN:
        value = register_read(ioapic.select);
        break;
    default:
        return UINT32_MAX;
    }
    (void)bytes;
    return value >> 8 * (offset & 3);
}

/* The window takes 32-bit writes only (3.1.2). */
static void ioapic_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    if (offset == IOREGSEL)
        ioapic.select = (uint8_t)value;
    else if (offset == IOWIN && bytes == 4)
        register_write(ioapic.select, value);
}

void ioapic_init(void)
{
    static const struct bus_region region = {PLATFORM_IOAPIC_BASE, REGION_SIZE, 4, ioapic_read, ioapic_write};

    ioapic.select = 0;
    ioapic.id = PLATFORM_IOAPIC_ID << 24;
    ioapic.levels = 0;
    for (unsigned pin = 0; pin < PLATFORM_IOAPIC_PINS; pin++)
        ioapic.entries[pin] = ENTRY_MASKED;
    bus_add_memory(&region);
}
