//! Disks, network devices and interrupts.

use super::out::{Class, Out};
use super::proc::{entries, fact, number};
use std::path::Path;

/// `IFF_TUN` and `IFF_TAP` (include/uapi/linux/if_tun.h).
const IFF_TUN: u32 = 1;
const IFF_TAP: u32 = 2;

pub(super) fn write(out: &mut Out<'_>) {
    out.look();
    disks(out);
    networks(out);
    interrupts(out);
}

/// Disks and their partitions, by the kernel's number for them (`MKDEV`, include/linux/kdev_t.h).
fn disks(out: &mut Out<'_>) {
    let class = Path::new("/sys/class/block");
    for name in entries(class) {
        let Some(device) = fact(&class.join(&name).join("dev")).and_then(|dev| device(&dev)) else {
            continue;
        };
        out.event(Class::BlockDevice, |p| {
            p.u32(device);
            p.string(name.as_bytes());
        });
    }
}

fn device(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(major << 20 | minor)
}

/// The network devices of our own namespace.
fn networks(out: &mut Out<'_>) {
    let class = Path::new("/sys/class/net");
    for name in entries(class) {
        let path = class.join(&name);
        let Some(index) = number::<u32>(&path.join("ifindex")) else {
            continue;
        };
        out.event(Class::NetworkInterface, |p| {
            p.string(name.as_bytes());
            p.u32(0);
        });
        let master = std::fs::read_link(path.join("master")).ok();
        let master = master.as_ref().and_then(|link| link.file_name()?.to_str());
        out.event(Class::NetworkDevice, |p| {
            p.string(name.as_bytes());
            p.u32(index).u32(number(&path.join("mtu")).unwrap_or(0));
            p.string(kind(&path).as_bytes());
            p.string(master.unwrap_or_default().as_bytes());
        });
    }
}

/// What sort of network device: what its kernel module says, or nothing.
fn kind(path: &Path) -> String {
    let flags = fact(&path.join("tun_flags"));
    let flags =
        flags.and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    match flags {
        Some(flags) if flags & IFF_TAP != 0 => return "tap".to_owned(),
        Some(flags) if flags & IFF_TUN != 0 => return "tun".to_owned(),
        _ => {}
    }
    let told = fact(&path.join("uevent")).unwrap_or_default();
    let kind = told.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    kind.unwrap_or_default().to_owned()
}

/// Interrupts that somebody handles. Whether a thread does is not known.
fn interrupts(out: &mut Out<'_>) {
    let all = Path::new("/sys/kernel/irq");
    for name in entries(all) {
        let path = all.join(&name);
        let (Ok(irq), Some(actions)) = (name.parse::<u32>(), fact(&path.join("actions"))) else {
            continue;
        };
        let chip = fact(&path.join("chip_name")).unwrap_or_default();
        for action in actions.split(',').filter(|action| !action.is_empty()) {
            out.event(Class::Interrupt, |p| {
                p.u32(irq);
                p.string(chip.as_bytes()).string(action.as_bytes());
                p.i32(0);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_devices() {
        assert_eq!(device("8:16"), Some(8 << 20 | 16));
        assert_eq!(device("8"), None);
        assert_eq!(kind(Path::new("/nowhere")), "");
    }
}
