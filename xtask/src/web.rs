//! `cargo xtask web`: the page. Builds it into `virtflow-server/dist`, compares what is there with a
//! fresh build, and tries it in a browser.

use crate::repo;
use crate::server::Server;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What all files of the page may take together.
const BYTES_MAX: u64 = 400_000;
/// Debian's browser.
const CHROMIUM: &str = "/usr/bin/chromium";
/// Traces of the repository that the browser tests look at, and those that lie beside it.
const FIXTURES: [&str; 4] = [
    "fixtures/seed-nested",
    "fixtures/single-vm-lossy",
    "fixtures/host-containers",
    "fixtures/two-vms-network",
];
const SHARED: [&str; 2] = ["../shared/traces/seed", "../shared/traces/overcommit"];

/// Build the page, compare it with the built files, or try it in a browser
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Do not write: fail if the built files are not what the sources make
    #[arg(long)]
    check: bool,
    /// Try the page in headless Chromium, which is installed where that is possible
    #[arg(long)]
    browser: bool,
    /// Hand these on to the browser tests: names of files, or what Playwright takes
    #[arg(last = true)]
    rest: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "the result")]
fn say(text: &str) {
    println!("web: {text}");
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let web = repo::root().join("web");
    install(&web)?;
    if args.browser {
        return browser(&web, &args.rest);
    }
    let dist = repo::root().join("crates/faces/virtflow-server/dist");
    if !args.check {
        npm(&web, &["run", "build"])?;
        size(&dist)?;
        return Ok(ExitCode::SUCCESS);
    }
    npm(&web, &["test"])?;
    let fresh = repo::target_dir().join("web-dist");
    let out = format!("--outDir={}", fresh.display());
    npm(&web, &["run", "build", "--", &out, "--emptyOutDir"])?;
    size(&fresh)?;
    let (built, made) = (files(&dist)?, files(&fresh)?);
    if built == made {
        say("the built files are what the sources make");
        return Ok(ExitCode::SUCCESS);
    }
    for name in built.keys().chain(made.keys()) {
        if built.get(name) != made.get(name) {
            say(&format!("{name} differs: run `cargo xtask web`"));
        }
    }
    Ok(ExitCode::FAILURE)
}

fn npm(web: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .status()
        .context("cannot run npm: Node.js 20 or later is needed for the page's sources")?;
    if status.success() {
        Ok(())
    } else {
        bail!("npm {} failed", arguments.join(" "))
    }
}

/// The packages that the lock file names, unless they are there.
fn install(web: &Path) -> Result<()> {
    let lock = fs::read(web.join("package-lock.json"))?;
    let marker = web.join("node_modules/.lock-of-last-install");
    if fs::read(&marker).is_ok_and(|found| found == lock) {
        return Ok(());
    }
    npm(web, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    fs::write(marker, lock)?;
    Ok(())
}

fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    fs::read_dir(directory)
        .with_context(|| format!("{}", directory.display()))?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, fs::read(entry.path())?))
        })
        .collect()
}

fn size(directory: &Path) -> Result<()> {
    let bytes: u64 = files(directory)?.values().map(|f| f.len() as u64).sum();
    say(&format!("{bytes} bytes"));
    if bytes > BYTES_MAX {
        bail!("the page is larger than {BYTES_MAX} bytes");
    }
    Ok(())
}

/// Whether there is a browser; it is installed where that is possible.
fn chromium() -> bool {
    if Path::new(CHROMIUM).exists() {
        return true;
    }
    say("installing Chromium");
    let installed = ["update", "install"].iter().all(|step| {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "-y", step]);
        if *step == "install" {
            apt.arg("chromium");
        }
        apt.stdout(Stdio::null());
        apt.status().is_ok_and(|status| status.success())
    });
    let found = installed && Path::new(CHROMIUM).exists();
    if !found {
        say("SKIPPED: there is no /usr/bin/chromium, and it cannot be installed here");
    }
    found
}

/// How long frames take while the timeline of a large store is moved about.
pub(crate) fn frames(program: &Path, store: &Path) -> Result<()> {
    let web = repo::root().join("web");
    install(&web)?;
    if !chromium() {
        return Ok(());
    }
    let server = Server::start(program, &[store.to_owned()])?;
    let status = Command::new("npm")
        .args(["run", "--silent", "frames", "--"])
        .args(["--views", "resources", "--open", "--seconds", "4"])
        .current_dir(&web)
        .env("VIRTFLOW_URL", server.address())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        bail!("the page could not be tried")
    }
}

fn browser(web: &Path, rest: &[String]) -> Result<ExitCode> {
    if !chromium() {
        return Ok(ExitCode::SUCCESS);
    }
    let program = repo::test_binary("virtflow")?;
    let mut traces: Vec<PathBuf> = FIXTURES.iter().map(|f| repo::root().join(f)).collect();
    for shared in SHARED {
        let path = repo::root().join(shared);
        if path.exists() {
            traces.push(path);
        } else {
            say(&format!(
                "SKIPPED: {shared} is not there; tests of it do nothing"
            ));
        }
    }
    let server = Server::start(&program, &traces)?;
    let status = Command::new("npm")
        .args(["run", "--silent", "e2e", "--"])
        .args(rest)
        .current_dir(web)
        .env("VIRTFLOW_URL", server.address())
        .env("VIRTFLOW_PROGRAM", &program)
        .env("VIRTFLOW_ROOT", repo::root())
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
