/* Logical destinations and lowest-priority delivery: SDM Vol. 3, 11.6.2.2 to 11.6.2.4, 11.12.10. */
#include "tests/lapic/steps.h"

#define LDR(cpu, id) W(cpu, REG_LDR, (uint32_t)(id) << 24)
#define CLUSTER(cpu) W(cpu, REG_DFR, 0x0fffffff)
#define TO(dest, v)  IPI(0, dest, LOGICAL | FIXED | (v))
#define ANY(dest, v) IPI(0, dest, LOGICAL | LOWEST | (v))
#define TPR(cpu, v)  W(cpu, REG_TPR, v)

const struct lapic_case cases_logical[] = {
    {"flat: a bit for each CPU", "11.6.2.2", MODE_X, 4,
     STEPS(TO(1, 0x51), WHO(1, 0x51), TO(2, 0x51), WHO(2, 0x51), TO(4, 0x51), WHO(4, 0x51), TO(8, 0x51), WHO(8, 0x51))},
    {"flat: any bit that both have", "11.6.2.2", MODE_X, 4,
     STEPS(TO(0x6, 0x51), WHO(6, 0x51), TO(0xf, 0x51), WHO(0xf, 0x51), TO(0xf0, 0x51), WHO(0, 0), TO(0, 0x51),
           WHO(0, 0), LDR(1, 0xc2), TO(0x40, 0x51), WHO(2, 0x51), TO(0x81, 0x51), WHO(3, 0x51))},
    {"flat: two CPUs with one ID", "11.6.2.2", MODE_X, 4,
     STEPS(LDR(2, 0x80), LDR(3, 0x80), TO(0x80, 0x51), WHO(0xc, 0x51), TO(0x0c, 0x51), WHO(0, 0))},
    {"flat: broadcast", "11.6.2.2", MODE_X, 4, STEPS(TO(0xff, 0x52), WHO(0xf, 0x52))},
    {"flat: NMI", "11.6.1, 11.6.2.2", MODE_X, 4, STEPS(IPI(0, 0xa, LOGICAL | NMI), NMIS(0xa))},
    {"cluster: cluster and member", "11.6.2.2", MODE_X, 4,
     STEPS(CLUSTER(0), CLUSTER(1), CLUSTER(2), CLUSTER(3), LDR(0, 0x01), LDR(1, 0x02), LDR(2, 0x11), LDR(3, 0x18),
           TO(0x01, 0x53), WHO(1, 0x53), TO(0x02, 0x53), WHO(2, 0x53), TO(0x03, 0x53), WHO(3, 0x53), TO(0x11, 0x53),
           WHO(4, 0x53), TO(0x18, 0x53), WHO(8, 0x53), TO(0x1f, 0x53), WHO(0xc, 0x53), TO(0x16, 0x53), WHO(0, 0),
           TO(0x21, 0x53), WHO(0, 0), TO(0x10, 0x53), WHO(0, 0))},
    {"cluster: broadcast", "11.6.2.2", MODE_X, 4,
     STEPS(CLUSTER(0), CLUSTER(1), CLUSTER(2), CLUSTER(3), LDR(0, 0x01), LDR(1, 0x02), LDR(2, 0x11), LDR(3, 0xe8),
           TO(0xff, 0x53), WHO(0xf, 0x53))},
    {"cluster: the model is each LAPIC's own", "11.6.2.2", MODE_X, 2,
     STEPS(CLUSTER(1), LDR(0, 0x21), LDR(1, 0x21), TO(0x01, 0x53), WHO(1, 0x53), TO(0x21, 0x53), WHO(3, 0x53),
           TO(0x31, 0x53), WHO(1, 0x53))},
    {"physical IDs are not logical ones", "11.6.2", MODE_X, 4,
     STEPS(LDR(0, 0x20), LDR(1, 0x40), LDR(2, 0x80), LDR(3, 0x10), IPI(0, 2, FIXED | 0x54), WHO(4, 0x54), TO(2, 0x54),
           WHO(0, 0), TO(0x40, 0x54), WHO(2, 0x54))},

    {"x2APIC cluster: a bit for each CPU", "11.12.10.2", MODE_X2, 4,
     STEPS(TO(1, 0x55), WHO(1, 0x55), TO(2, 0x55), WHO(2, 0x55), TO(4, 0x55), WHO(4, 0x55), TO(8, 0x55), WHO(8, 0x55),
           TO(5, 0x55), WHO(5, 0x55), TO(0xffff, 0x55), WHO(0xf, 0x55), TO(0xfff0, 0x55), WHO(0, 0), TO(0, 0x55),
           WHO(0, 0))},
    {"x2APIC cluster: another cluster", "11.12.10.2", MODE_X2, 4,
     STEPS(TO(0x1000f, 0x55), WHO(0, 0), TO(0xffff000f, 0x55), WHO(0, 0))},
    {"x2APIC cluster: broadcast", "11.12.9", MODE_X2, 4, STEPS(TO(0xffffffff, 0x55), WHO(0xf, 0x55))},
    {"x2APIC cluster: NMI", "11.12.9", MODE_X2, 4, STEPS(IPI(0, 6, LOGICAL | NMI), NMIS(6))},

    {"lowest priority: one of the equals", "11.6.2.4", BOTH, 4,
     STEPS(ANY(0xf, 0x56), ONE(0xf, 0x56), ANY(0xc, 0x56), ONE(0xc, 0x56), ANY(0x6, 0x56), ONE(6, 0x56), ANY(8, 0x56),
           WHO(8, 0x56), ANY(0xf0, 0x56), WHO(0, 0))},
    {"lowest priority: by TPR", "11.6.2.4", BOTH, 4,
     STEPS(TPR(0, 0x40), TPR(1, 0x20), TPR(2, 0x10), TPR(3, 0x30), ANY(0xf, 0x96), WHO(4, 0x96), ANY(0xb, 0x96),
           WHO(2, 0x96), ANY(9, 0x96), WHO(8, 0x96), ANY(1, 0x96), WHO(1, 0x96), TPR(2, 0x80), ANY(0xe, 0x96),
           WHO(2, 0x96))},
    {"lowest priority: what is in service counts", "11.6.2.4, 11.8.3.1", BOTH, 2,
     STEPS(TPR(1, 0x20), ANY(3, 0x56), WHO(1, 0x56), IPI(1, 0, FIXED | 0x61), TAKE(0, 0x61), ANY(3, 0x76), WHO(2, 0x76),
           EOI(0), ANY(3, 0x76), WHO(1, 0x76))},
    {"lowest priority: none that is software-disabled", "11.4.7.2, 11.6.2.4", BOTH, 4,
     STEPS(TPR(0, 0x20), TPR(1, 0x20), TPR(2, 0x10), TPR(3, 0x20), W(2, REG_SVR, 0xff), ANY(0xf, 0x56), ONE(0xb, 0x56),
           ANY(4, 0x56), WHO(0, 0))},
    {"lowest priority: one physical destination", "11.6.2.4", BOTH, 4,
     STEPS(TPR(2, 0x40), IPI(0, 2, LOWEST | 0x96), WHO(4, 0x96), IPI(0, 0, LOWEST | 0x96), WHO(1, 0x96))},
    {"lowest priority: cluster", "11.6.2.2, 11.6.2.4", MODE_X, 4,
     STEPS(CLUSTER(0), CLUSTER(1), CLUSTER(2), CLUSTER(3), LDR(0, 0x01), LDR(1, 0x02), LDR(2, 0x11), LDR(3, 0x12),
           TPR(1, 0x20), TPR(2, 0x30), TPR(3, 0x10), ANY(0x13, 0x96), WHO(8, 0x96), ANY(0x03, 0x96), WHO(1, 0x96),
           ANY(0x23, 0x96), WHO(0, 0))},
    {"lowest priority: it waits where it went", "11.6.2.4, 11.8.4", BOTH, 2,
     STEPS(TPR(0, 0x60), TPR(1, 0x70), ANY(3, 0x56), NONE(0), NONE(1), R(0, REG_IRR + 0x20, 1 << 22), TPR(0, 0),
           WHO(1, 0x56))},
    {0},
};
