/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processor's current VMCS says (Intel SDM volume 3, "VMREAD", and appendix B for the
 * fields; the numbers are those of the kernel's asm/vmx.h).
 */
#ifndef VIRTFLOW_VMCS_H
#define VIRTFLOW_VMCS_H

#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/kvm_host.h>
#include <asm/vmx.h>

/* Whether these processors have a VMCS. */
static inline bool has_vmcs(void)
{
    return boot_cpu_has(X86_FEATURE_VMX);
}

/*
 * Reads a field; false where it cannot be: no VMCS is current (VMfailInvalid: also under Hyper-V,
 * where KVM keeps an enlightened one), the processor has no such field (VMfailValid), or VMX was
 * switched off under KVM's feet for a crash dump (#UD, which the exception table takes).
 */
static inline bool vmcs_read(unsigned long field, unsigned long *value)
{
    unsigned long read = 0;
    u8 is_there = 0;

    asm volatile("1: vmread %[field], %[read]\n\t"
             "seta %[is_there]\n"
             "2:\n"
             _ASM_EXTABLE(1b, 2b)
             : [read] "+r" (read), [is_there] "+q" (is_there)
             : [field] "r" (field)
             : "cc");
    *value = is_there ? read : 0;
    return is_there;
}

/* What KVM has for the processor but has not written to the VMCS yet (kvm_register_is_dirty). */
static inline bool is_pending(const struct kvm_vcpu *vcpu, int reg)
{
    return vcpu->arch.regs_dirty & BIT(reg);
}

static inline bool read_register(const struct kvm_vcpu *vcpu, int reg, unsigned long field,
                 unsigned long *value)
{
    if (is_pending(vcpu, reg)) {
        *value = vcpu->arch.regs[reg];
        return true;
    }
    return vmcs_read(field, value);
}

/*
 * The guest's CR3. Without EPT the VMCS has that of KVM's shadow page table, and KVM keeps the
 * guest's, which it saw being written.
 */
static inline bool read_cr3(const struct kvm_vcpu *vcpu, unsigned long *value)
{
    unsigned long controls;

    if (vmcs_read(SECONDARY_VM_EXEC_CONTROL, &controls) && controls & SECONDARY_EXEC_ENABLE_EPT)
        return vmcs_read(GUEST_CR3, value);
    if (!(vcpu->arch.regs_avail & BIT(VCPU_EXREG_CR3)))
        return false;
    *value = vcpu->arch.cr3;
    return true;
}

/* The privilege level: that of the stack segment (DPL of SS, as vmx_get_cpl takes it). */
static inline bool read_cpl(unsigned long *value)
{
    unsigned long rights, flags;

    if (!vmcs_read(GUEST_SS_AR_BYTES, &rights) || !vmcs_read(GUEST_RFLAGS, &flags))
        return false;
    *value = flags & X86_EFLAGS_VM ? 3 : VMX_AR_DPL(rights);
    return true;
}

#endif
