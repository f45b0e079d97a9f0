//! `virtflow cache`: analyses that were kept.

use crate::Finish;
use crate::args::{CacheCommand, Format, UsageError};
use crate::output::{self, size};
use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use virtflow_query::store::{Cache, Cached};

/// What `ls --format json` says of one.
#[derive(Serialize)]
struct Said<'a> {
    name: &'a str,
    path: &'a Path,
    trace: &'a str,
    bytes: u64,
    used: String,
    complete: bool,
}

/// How much of a name `ls` shows, and `rm` needs.
const SHOWN: usize = 12;

/// The cache of whoever runs the program; `None` where the environment names no place.
pub(crate) fn here() -> Option<Cache> {
    let named = |name| {
        env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let directory = named("VIRTFLOW_CACHE").or_else(|| {
        // The XDG base directory specification: relative paths are to be ignored.
        let xdg = named("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let base = xdg.or_else(|| Some(named("HOME")?.join(".cache")))?;
        Some(base.join("virtflow"))
    })?;
    let limit = env::var("VIRTFLOW_CACHE_LIMIT").ok().and_then(|text| {
        let limit = text.parse().ok();
        if limit.is_none() {
            output::complain(&format!(
                "virtflow: warning: VIRTFLOW_CACHE_LIMIT={text}: not a number of bytes; ignored"
            ));
        }
        limit
    });
    Some(Cache::new(directory, limit))
}

pub(crate) fn run(what: &CacheCommand) -> anyhow::Result<Finish> {
    let cache = here().context("neither XDG_CACHE_HOME nor HOME is set: nothing is kept")?;
    match what {
        CacheCommand::Ls { format } => list(&cache.list()?, *format)?,
        CacheCommand::Rm { names, all } => remove(&cache.list()?, names, *all)?,
    }
    Ok(Finish::Complete)
}

fn list(kept: &[Cached], format: Format) -> anyhow::Result<()> {
    let used = |cached: &Cached| {
        Timestamp::try_from(cached.used).map_or_else(
            |_| String::new(),
            |t| {
                t.to_zoned(TimeZone::UTC)
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string()
            },
        )
    };
    if format == Format::Json {
        let said = kept.iter().map(|cached| Said {
            name: &cached.name,
            path: &cached.path,
            trace: &cached.trace,
            bytes: cached.bytes,
            used: used(cached),
            complete: cached.complete,
        });
        return output::json(&said.collect::<Vec<_>>());
    }
    let mut out = std::io::stdout().lock();
    if kept.is_empty() {
        writeln!(out, "nothing is kept")?;
        return Ok(());
    }
    writeln!(
        out,
        "{:SHOWN$}  {:16}  {:>8}  trace",
        "name", "last used (UTC)", "size"
    )?;
    for cached in kept {
        writeln!(
            out,
            "{:.SHOWN$}  {:16}  {:>8}  {}{}",
            cached.name,
            used(cached),
            size(cached.bytes),
            cached.trace,
            if cached.complete {
                ""
            } else {
                " (being written)"
            }
        )?;
    }
    Ok(())
}

fn remove(kept: &[Cached], names: &[String], all: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut gone = Vec::new();
    for name in names {
        let is_trace = |cached: &&Cached| {
            let path = Path::new(name).canonicalize();
            path.is_ok_and(|path| Path::new(&cached.trace).starts_with(path))
        };
        let found: Vec<_> = kept
            .iter()
            .filter(|cached| cached.name.starts_with(name.as_str()) || is_trace(cached))
            .collect();
        if found.is_empty() {
            return Err(UsageError(format!(
                "{name}: no analysis of that name, or of a trace there, is kept; `virtflow cache ls` lists them"
            ))
            .into());
        }
        gone.extend(found);
    }
    if all {
        gone.extend(kept);
    }
    for cached in gone {
        Cache::remove(cached)?;
        writeln!(
            out,
            "removed {:.SHOWN$} ({})",
            cached.name,
            size(cached.bytes)
        )?;
    }
    Ok(())
}
