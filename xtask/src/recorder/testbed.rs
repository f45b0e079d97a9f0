//! The test bed's scenarios, recorded by both at once.

use crate::repo;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What goes before a scenario.
const BESIDE: &str = include_str!("../../recorder/beside");
/// The most seconds that a run may take.
const SECONDS_MAX: &str = "limit=1200";

/// LTTng's trace and ours of each scenario. What the test bed has not built yet is built first.
#[expect(clippy::print_stdout, reason = "what takes minutes")]
pub(super) fn record(bed: &Path, scenarios: &[String]) -> Result<Vec<(String, PathBuf, PathBuf)>> {
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
