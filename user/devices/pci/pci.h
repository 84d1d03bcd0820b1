/*
 * PCI configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2) with one host bridge at 00:00.0 and nothing else, and
 * the reset control register that lies in between. World's lock.
 */
#ifndef USER_DEVICES_PCI_PCI_H
#define USER_DEVICES_PCI_PCI_H

/* Reset state; on the bus. */
void pci_init(void);

#endif
