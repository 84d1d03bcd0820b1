/*
 * What tests/bench/count.c needs of QEMU's plugin interface, version 3 (QEMU 9.1 and later), as QEMU's documentation
 * "TCG Plugins" gives it: no package has its header. QEMU exports the functions; the caller is QEMU's own thread.
 */
#ifndef BENCH_QEMU_PLUGIN_H
#define BENCH_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT  __attribute__((visibility("default")))
#define PLUGIN_VERSION 3

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* What a plugin is told about the machine when it is installed. */
struct plugin_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    int smp_vcpus, max_vcpus;
};

enum { PLUGIN_CB_NO_REGS };

/* What a plugin has to export: the version that it is written for; the entry, which returns 0 if all is well. argv are
 * its arguments NAME=VALUE, and stay there. */
extern PLUGIN_EXPORT int qemu_plugin_version;
PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct plugin_info *info, int argc, char **argv);

/* Called whenever a block was translated, before it is executed; the handles are valid for that call only. */
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t id, struct qemu_plugin_tb *tb));

/* Called when QEMU exits, if it was not killed. */
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t id, void *data), void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);

/* Copies up to length bytes of an instruction; how many it copied. */
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t length);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

/* Where the instruction's first byte lies in QEMU's memory; NULL: in no RAM. */
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);

/* Called before each execution of the instruction, in the order of registration. Without -icount by several threads. */
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*call)(unsigned cpu, void *data),
                                            int flags, void *data);

#endif
