/* abi_info.features: registers of the guest's CPUID that say which instructions the guest has. */
#ifndef ABI_FEATURES_H
#define ABI_FEATURES_H

enum abi_features {
    ABI_FEATURES_1_ECX,
    ABI_FEATURES_1_EDX,
    ABI_FEATURES_7_EBX,
    ABI_FEATURES_7_ECX,
    ABI_FEATURES_13_1_EAX,
    ABI_FEATURES_80000001_ECX,
    ABI_FEATURES_80000008_EBX,
    ABI_FEATURE_WORDS
};

#endif
