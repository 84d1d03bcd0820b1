/*
 * PCI configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2), with one host bridge at 00:00.0 and no other function.
 * The reset control register is here too, since its port is among those of mechanism #1. The world's lock protects it.
 */
#ifndef USER_DEVICES_PCI_PCI_H
#define USER_DEVICES_PCI_PCI_H

/* Put it on the bus, in reset state. */
void pci_init(void);

#endif
