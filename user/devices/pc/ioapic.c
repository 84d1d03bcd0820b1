#include "user/devices/pc/ioapic.h"

#include "user/devices/bus.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

/* Memory-mapped registers, and the registers that IOREGSEL selects (82093AA, 3.1 and 3.2). */
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
 * Polarity is kept, but not obeyed. A pin's input here is "asserted" or not. A guest that programs the other polarity
 * for a line means the line as it is wired, not its inverse. A PC's chipset has no inverter either; its ISA lines have
 * a fixed polarity, and guests that program the wrong one are in use.
 */

/* Only fixed and lowest-priority interrupts end with an EOI message. All others behave as edges, whatever the trigger
 * mode says (3.2.4). */
static bool is_level(uint64_t entry)
{
    uint64_t delivery = entry & ENTRY_DELIVERY;

    return (entry & ENTRY_LEVEL) && (delivery == DELIVERY_FIXED || delivery == DELIVERY_LOWEST);
}

/* Send the entry's message. If no LAPIC can accept it now, the entry stays pending (3.2.4, Delivery Status). */
static void entry_send(unsigned pin)
{
    uint64_t *entry = &ioapic.entries[pin];
    uint64_t address = MSI_ADDRESS | *entry >> 56 << MSI_DESTINATION_SHIFT;
    bool level = is_level(*entry);
    uint32_t data = (uint32_t)(*entry & (ENTRY_VECTOR | ENTRY_DELIVERY)) | MSI_ASSERT | (level ? MSI_LEVEL : 0);

    if (*entry & ENTRY_LOGICAL)
        address |= MSI_LOGICAL;
    if ((*entry & ENTRY_DELIVERY) == DELIVERY_LOWEST)
        address |= MSI_REDIRECTION_HINT;

    *entry &= ~ENTRY_PENDING;
    if (!env_apic_msg(address, data))
        *entry |= ENTRY_PENDING;
    else if (level)
        *entry |= ENTRY_REMOTE_IRR;
}

/*
 * Send the entry's message if it is due: a level that is asserted and not in service, or an edge that no LAPIC has
 * accepted yet. If the pin is masked, or its level has fallen, a pending message is withdrawn (3.2.4, Interrupt Mask).
 */
static void entry_update(unsigned pin)
{
    uint64_t entry = ioapic.entries[pin];
    bool level = is_level(entry);

    if ((entry & ENTRY_MASKED) || (level && !(ioapic.levels & BIT(pin))))
        ioapic.entries[pin] &= ~ENTRY_PENDING;
    else if (level ? !(entry & ENTRY_REMOTE_IRR) : entry & ENTRY_PENDING)
        entry_send(pin);
}

void ioapic_set(unsigned pin, bool level)
{
    bool was = ioapic.levels & BIT(pin);
    uint64_t entry = ioapic.entries[pin];

    if (level == was)
        return;

    ioapic.levels ^= (uint32_t)BIT(pin);
    if (is_level(entry))
        entry_update(pin);
    else if (level && !(entry & ENTRY_MASKED)) /* an edge at a masked pin is lost (3.2.4, Interrupt Mask) */
        entry_send(pin);
}

void ioapic_eoi(unsigned vector)
{
    for (unsigned pin = 0; pin < PLATFORM_IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic.entries[pin];
        bool ends = (entry & ENTRY_VECTOR) == vector && (entry & ENTRY_REMOTE_IRR);

        if (ends)
            ioapic.entries[pin] &= ~ENTRY_REMOTE_IRR;
        if (ends || (entry & ENTRY_PENDING))
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
    bool was_level;

    if (select == IOAPICID)
        ioapic.id = value & ID_MASK;
    if (select < IOREDTBL || pin >= PLATFORM_IOAPIC_PINS)
        return;

    entry = &ioapic.entries[pin];
    was_level = is_level(*entry);
    if (select & 1)
        *entry = (*entry & UINT32_MAX) | ((uint64_t)value << 32 & ENTRY_DESTINATION);
    else
        *entry = (*entry & ~ENTRY_WRITABLE_LOW) | (value & ENTRY_WRITABLE_LOW);

    /* Edge mode has no Remote IRR. Linux clears a stuck Remote IRR by a change to edge mode and back. */
    if (!is_level(*entry))
        *entry &= ~ENTRY_REMOTE_IRR;
    if (is_level(*entry) != was_level)
        *entry &= ~ENTRY_PENDING;

    /* With either half written, a LAPIC may now take the message. */
    entry_update(pin);
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
