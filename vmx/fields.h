/* Which fields a VMCS has (SDM Vol. 3, appendix B). */
#ifndef VMX_FIELDS_H
#define VMX_FIELDS_H

#include "abi/types.h"

/* Does the VMCS of this CPU have that field (a number of abi/vmcs.h)? Access to a field that the VMCS does not have
 * fails with VM-instruction error 12. False for a field that is not in the table of vmx/fields.c: no CPU needs to have
 * it. vmx_probe() has to have run. */
bool vmx_field_exists(unsigned field);

#endif
