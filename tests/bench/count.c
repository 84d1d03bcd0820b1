/*
 * A QEMU plugin that counts executed instructions by whose they are: root's, a world's, or the guest's. It goes by
 * where an instruction's bytes lie in memory, because a Linux guest runs at the virtual addresses that root runs at. To
 * be used with -icount: one host thread executes all CPUs in turn. It counts by calls, since QEMU 10.0 computes a wrong
 * address for its own inline additions in what it translates for CPU 1 and up with -icount.
 *
 *     out=PATH          where to write the result as JSON, at exit
 *     root=FIRST-END    physical addresses of code of root's (.boot, .text), hexadecimal; up to eight with world=.
 *                       Without any, all instructions are the guest's: a bare machine
 *     world=FIRST-END   of code of a world's
 *     base=ADDRESS      root's code runs at its physical address plus that; before paging at the physical address
 *     start=ADDRESS     the guest begins where that virtual address is first executed; without: with the first
 *                       instruction of its own after one of a world's
 *     pcs=on            count for each row how often each instruction of root's and the worlds' was executed
 *
 * Root's are also those that lie nowhere of the above from root's first instruction to the first one of a world's (what
 * APs start with). The guest's are also the firmware's and the boot loader's, before root began: "guest_first" has the
 * totals from which the guest's begin. An instruction that faults or is intercepted counts, and again if it is
 * repeated; of a repeated string instruction each iteration. A CPU that waits in HLT executes nothing.
 *
 * Markers (tests/guests/lib/mark.h) in what is not root's delimit rows, and are not counted. A row sums what all CPUs
 * executed between its begin and its end, each time; it is ended by the next begin, too. Row 0 is from root's first
 * instruction to the guest's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/qemu_plugin.h"
#include "tests/guests/lib/mark.h"

#define MAX_RANGES 8

enum owner { ROOT, WORLD, GUEST, OWNERS };

static const char *const owner_names[OWNERS] = {"root", "world", "guest"};

struct range {
    uint64_t first, end; /* physical */
    enum owner owner;
    size_t slot; /* of its first byte; each byte of code has one */
};

struct totals {
    uint64_t of[OWNERS];
};

struct row {
    uint64_t begun, times;
    struct totals sum, first, last; /* first, last: the totals when it first began, and last */
    uint64_t *slots;
};

static struct range ranges[MAX_RANGES];
static unsigned range_count;
static struct row rows[MARK_ROWS];
static struct row *open_row;
static struct totals opened;

static struct totals now;
static uint64_t *slots; /* how often each instruction was executed since a row began */
static size_t slot_count;

static const char *out_path;
static uint64_t base, start;
static bool with_pcs;

static uint64_t delta; /* host address minus physical address of root's memory */
static bool root_began, world_began, guest_began;
static struct totals guest_first;

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

static void row_end(void)
{
    if (!open_row)
        return;
    for (unsigned i = 0; i < OWNERS; i++)
        open_row->sum.of[i] += now.of[i] - opened.of[i];
    open_row->times++;
    for (size_t i = 0; with_pcs && i < slot_count; i++)
        open_row->slots[i] += slots[i];
    open_row = NULL;
}

static void row_begin(struct row *row)
{
    row_end();
    if (row->begun++ == 0)
        row->first = now;
    row->last = opened = now;
    if (with_pcs && !row->slots)
        row->slots = calloc(slot_count, sizeof *row->slots);
    if (with_pcs)
        memset(slots, 0, slot_count * sizeof *slots);
    open_row = row;
}

static void on_marker(unsigned cpu, void *data)
{
    struct row *row = data;

    (void)cpu;
    if (row == &rows[0])
        row_end();
    else
        row_begin(row);
}

static void on_guest(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (guest_began)
        return;
    row_end();
    guest_first = now;
    guest_began = true;
}

static void on_root(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (!rows[0].begun)
        row_begin(&rows[0]);
}

/* ---- Translation ----------------------------------------------------------------------------------------------- */

static void count(unsigned cpu, void *counter)
{
    (void)cpu;
    ++*(uint64_t *)counter;
}

static const struct range *range_of(uint64_t physical)
{
    for (unsigned i = 0; i < range_count; i++)
        if (physical >= ranges[i].first && physical < ranges[i].end)
            return &ranges[i];
    return NULL;
}

/* Where root's memory lies in QEMU's: its first instruction tells. */
static void find_root(uint64_t address, uint64_t host)
{
    const struct range *before_paging = range_of(address), *range = range_of(address - base);

    if ((!before_paging || before_paging->owner != ROOT) && (!range || range->owner != ROOT))
        return;
    delta = host - (range ? address - base : address);
    root_began = true;
}

static enum owner owner_of(const struct range *range)
{
    if (range)
        return range->owner;
    return root_began && !world_began ? ROOT : GUEST;
}

static bool is_marker(const struct qemu_plugin_insn *insn, uint32_t *n)
{
    uint8_t bytes[MARK_LENGTH];
    uint32_t operand;

    if (qemu_plugin_insn_size(insn) != sizeof bytes ||
        qemu_plugin_insn_data(insn, bytes, sizeof bytes) != sizeof bytes || memcmp(bytes, MARK_OPCODE, 3) != 0)
        return false;
    memcpy(&operand, bytes + 3, sizeof operand);
    *n = operand - MARK_BASE;
    return *n < MARK_ROWS;
}

static void instrument(struct qemu_plugin_insn *insn)
{
    uint64_t host = (uint64_t)qemu_plugin_insn_haddr(insn), address = qemu_plugin_insn_vaddr(insn);
    bool first = false;
    uint32_t n;

    if (!root_began && range_count) {
        find_root(address, host);
        first = root_began;
    }
    const struct range *range = root_began ? range_of(host - delta) : NULL;
    enum owner owner = owner_of(range);

    world_began |= owner == WORLD;
    if (first)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_root, PLUGIN_CB_NO_REGS, NULL);
    if (owner == GUEST && !guest_began && (start ? address == start : world_began))
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_guest, PLUGIN_CB_NO_REGS, NULL);
    if (owner == GUEST && is_marker(insn, &n)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, PLUGIN_CB_NO_REGS, &rows[n]);
        return;
    }
    if (range && with_pcs)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, count, PLUGIN_CB_NO_REGS,
                                               &slots[range->slot + (host - delta - range->first)]);
    qemu_plugin_register_vcpu_insn_exec_cb(insn, count, PLUGIN_CB_NO_REGS, &now.of[owner]);
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);

    (void)id;
    for (size_t i = 0; i < count; i++)
        instrument(qemu_plugin_tb_get_insn(tb, i));
}

/* ---- The result ------------------------------------------------------------------------------------------------ */

static void put_totals(FILE *file, const char *name, const struct totals *t)
{
    fprintf(file, "\"%s\": {", name);
    for (unsigned i = 0; i < OWNERS; i++)
        fprintf(file, "%s\"%s\": %lu", i ? ", " : "", owner_names[i], t->of[i]);
    fprintf(file, "}");
}

static void put_pcs(FILE *file, const uint64_t *counts)
{
    const char *separator = "";

    fprintf(file, ", \"pcs\": {");
    for (unsigned r = 0; r < range_count; r++)
        for (uint64_t at = ranges[r].first; at < ranges[r].end; at++) {
            uint64_t count = counts[ranges[r].slot + (at - ranges[r].first)];

            if (count)
                fprintf(file, "%s\"%lx\": %lu", separator, at, count);
            separator = count ? ", " : separator;
        }
    fprintf(file, "}");
}

static void put_row(FILE *file, unsigned n)
{
    const struct row *row = &rows[n];

    fprintf(file, "\"%u\": {\"begun\": %lu, \"times\": %lu, ", n, row->begun, row->times);
    put_totals(file, "sum", &row->sum);
    fprintf(file, ", ");
    put_totals(file, "first", &row->first);
    fprintf(file, ", ");
    put_totals(file, "last", &row->last);
    if (row->slots)
        put_pcs(file, row->slots);
    fprintf(file, "}");
}

static void on_exit_of_qemu(uint64_t id, void *data)
{
    FILE *file = fopen(out_path, "w");
    const char *separator = "\n";

    (void)id;
    (void)data;
    if (!file) {
        perror(out_path);
        return;
    }
    fprintf(file, "{\"root_began\": %s, \"guest_began\": %s,\n", root_began ? "true" : "false",
            guest_began ? "true" : "false");
    put_totals(file, "guest_first", &guest_first);
    fprintf(file, ",\n");
    put_totals(file, "total", &now);
    fprintf(file, ",\n\"rows\": {");
    for (unsigned n = 0; n < MARK_ROWS; n++)
        if (rows[n].begun) {
            fprintf(file, "%s", separator);
            put_row(file, n);
            separator = ",\n";
        }
    fprintf(file, "}}\n");
    fclose(file);
}

/* ---- Arguments ------------------------------------------------------------------------------------------------- */

static bool add_range(const char *value, enum owner owner)
{
    struct range *range = &ranges[range_count];
    char *end;

    if (range_count == MAX_RANGES)
        return false;
    range->first = strtoull(value, &end, 16);
    if (*end != '-')
        return false;
    range->end = strtoull(end + 1, &end, 16);
    range->owner = owner;
    range->slot = slot_count;
    slot_count += range->end - range->first;
    range_count++;
    return !*end && range->first < range->end;
}

static bool argument(const char *text)
{
    const char *value = strchr(text, '=');
    size_t length = value ? (size_t)(value++ - text) : 0;

    if (length == 3 && !strncmp(text, "out", length))
        out_path = value;
    else if (length == 4 && !strncmp(text, "root", length))
        return add_range(value, ROOT);
    else if (length == 5 && !strncmp(text, "world", length))
        return add_range(value, WORLD);
    else if (length == 4 && !strncmp(text, "base", length))
        base = strtoull(value, NULL, 16);
    else if (length == 5 && !strncmp(text, "start", length))
        start = strtoull(value, NULL, 16);
    else if (length == 3 && !strncmp(text, "pcs", length))
        with_pcs = !strcmp(value, "on");
    else
        return false;
    return true;
}

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_VERSION;

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct plugin_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!argument(argv[i])) {
            fprintf(stderr, "count: bad argument %s\n", argv[i]);
            return -1;
        }
    if (!out_path) {
        fprintf(stderr, "count: there is no out=\n");
        return -1;
    }
    with_pcs = with_pcs && slot_count;
    slots = calloc(slot_count + 1, sizeof *slots);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
