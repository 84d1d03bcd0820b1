/* Which fields a VMCS has (SDM Vol. 3, appendix B). */
#ifndef VMX_FIELDS_H
#define VMX_FIELDS_H

#include "abi/types.h"

/* Is this field, of those in abi/vmcs.h, in the VMCS of this CPU? vmx_probe() came before. Access to one that is not
 * fails with error 12. False for every field that is not in the table of vmx/fields.c: no CPU needs to have it. */
bool vmx_field_exists(unsigned field);

#endif
