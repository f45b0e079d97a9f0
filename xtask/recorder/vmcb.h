/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of kmod/vmcs.h where the module is tried on AMD's processors, as the test bed emulates
 * them: the same registers, from the VMCB. All that differs from the module on Intel's is then how a
 * register is read.
 */
#ifndef VIRTFLOW_VMCS_H
#define VIRTFLOW_VMCS_H

#include <asm/vmx.h>
#include "svm/svm.h"

static inline bool has_vmcs(void)
{
    return true;
}

static inline const struct vmcb_save_area *saved(const struct kvm_vcpu *vcpu)
{
    return &container_of(vcpu, const struct vcpu_svm, vcpu)->vmcb->save;
}

static inline bool vmcs_read(unsigned long field, unsigned long *value)
{
    const struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

    *value = vcpu ? saved(vcpu)->fs.base : 0;
    return vcpu && field == GUEST_FS_BASE;
}

static inline bool read_register(const struct kvm_vcpu *vcpu, int reg, unsigned long field,
                 unsigned long *value)
{
    *value = field == GUEST_RIP ? saved(vcpu)->rip : saved(vcpu)->rsp;
    return true;
}

static inline bool read_cr3(const struct kvm_vcpu *vcpu, unsigned long *value)
{
    *value = saved(vcpu)->cr3;
    return true;
}

static inline bool read_cpl(unsigned long *value)
{
    *value = saved(kvm_get_running_vcpu())->cpl;
    return true;
}

#endif
