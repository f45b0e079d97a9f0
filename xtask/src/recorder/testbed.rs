//! The test bed's scenarios, recorded by both at once.

use crate::{kmod, repo};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What goes before a scenario.
const BESIDE: &str = include_str!("../../recorder/beside");
/// Lets our kernel module read a VMCB: the test bed's processors are AMD's.
const VMCB: &str = include_str!("../../recorder/vmcb.h");
/// Builds the module, in the test bed's root directory.
const BUILD: &str = r#"
    kvm=$(ls -d /usr/src/linux-headers-*-common)/arch/x86/kvm &&
    make -C /build/kmod HEADERS="$(ls -d /lib/modules/*/build)" \
        VIRTFLOW_CFLAGS="-I$kvm -DVIRTFLOW_VMCS='\"vmcb.h\"'"
"#;
/// The most seconds that a run may take.
const SECONDS_MAX: &str = "limit=1200";

/// LTTng's trace and ours of each scenario. What the test bed has not built yet is built first.
#[expect(clippy::print_stdout, reason = "what takes minutes")]
pub(super) fn record(
    bed: &Path,
    scenarios: &[String],
    by_module: bool,
) -> Result<Vec<(String, PathBuf, PathBuf)>> {
    for (step, made) in [
        ("01-rootfs.sh", "rootfs/bin"),
        ("02-modules.sh", "probe"),
        ("03-image.sh", "img/rootfs.img"),
    ] {
        if !bed.join(made).exists() {
            println!("test bed: {step}");
            script(bed, step, &[])?;
        }
    }
    let program = repo::release_binary("virtflow")?;
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(bed.join("host/virtflow"))
        .arg(&program)
        .status()
        .context("strip: install binutils")?;
    if !stripped.success() {
        bail!("strip: {stripped}");
    }
    let module = bed.join("host/virtflow_vmx.ko");
    let _ = std::fs::remove_file(&module);
    if by_module {
        println!("test bed: kmod");
        build_module(bed, &module)?;
    }
    let directory = bed.join("host/scn");
    for scenario in scenarios {
        let path = directory.join(scenario);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        std::fs::write(directory.join(ours(scenario)), format!("{BESIDE}{text}"))?;
    }
    script(bed, "03-image.sh", &["--quick"])?;
    let runs = scenarios.iter().map(|scenario| {
        println!("test bed: scenario {scenario}");
        let name = ours(scenario);
        script(bed, "run.sh", &[&name, &format!("out={name}"), SECONDS_MAX])?;
        let traces = bed.join("traces").join(&name);
        Ok((scenario.clone(), traces.join("trace"), traces.join("ours")))
    });
    runs.collect()
}

/// Has the module built for the test bed's kernel.
fn build_module(bed: &Path, to: &Path) -> Result<()> {
    let root = bed.join("rootfs");
    let sources = root.join("build/kmod");
    std::fs::create_dir_all(&sources).with_context(|| sources.display().to_string())?;
    kmod::copy(&sources)?;
    std::fs::write(sources.join("vmcb.h"), VMCB)?;
    let output = Command::new("chroot")
        .arg(&root)
        .args(["sh", "-c", BUILD])
        .output()
        .context("chroot")?;
    if !output.status.success() {
        bail!("kmod: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::copy(sources.join("virtflow_vmx.ko"), to)?;
    Ok(())
}

/// What a scenario that both record is called.
fn ours(scenario: &str) -> String {
    format!("both-{scenario}")
}

fn script(bed: &Path, name: &str, arguments: &[&str]) -> Result<()> {
    let path = bed.join("scripts").join(name);
    let output = Command::new(&path)
        .current_dir(bed)
        .args(arguments)
        .output()
        .with_context(|| path.display().to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}: {}: {said}", path.display(), output.status);
    }
    Ok(())
}
