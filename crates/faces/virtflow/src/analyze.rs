//! `virtflow analyze`: the one pass, kept as a store.

use crate::args::{AnalyzeArgs, Format, UsageError};
use crate::output::{self, number, size};
use crate::progress::Bar;
use crate::traces::Traces;
use crate::{Finish, cache, rows};
use anyhow::{Context, bail};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use virtflow_query::store::{Making, Store, make};
use virtflow_query::{Facts, Options, Progress, Recording};

/// What `--format json` says.
#[derive(Serialize)]
struct Said<'a> {
    format: &'static str,
    version: u32,
    store: &'a Path,
    entities: u64,
    intervals: u64,
    edges: u64,
    exits: u64,
    bytes: u64,
    trace_bytes: u64,
    complete: bool,
}

pub(crate) fn run(args: &AnalyzeArgs) -> anyhow::Result<Finish> {
    let begun = Instant::now();
    let recording = args.traces.recording()?;
    let options = Options {
        proved_only: args.proved_only,
        ..Options::default()
    };
    let cache = cache::here();
    let path = place(args, &recording, &options)?;
    let bar = Bar::new(recording.bytes());
    stop_on_interrupt(&bar.progress)?;
    let made = make(&recording, &path, &options, &bar.progress, |_| ())?;
    drop(bar);
    let Making::Done(written, facts) = made else {
        anyhow::bail!("stopped; nothing was written");
    };
    if let Some(cache) = cache.filter(|_| args.output.is_none()) {
        cache.shrink(&path)?;
    }
    for facts in &facts {
        tell_clock(facts);
        rows::tell_segments(facts);
    }
    // Every machine's troubles are told, also after the first that has some.
    let told: Vec<Finish> = facts.iter().map(rows::tell).collect();
    let complete = told.iter().all(|finish| *finish == Finish::Complete);
    match args.format {
        Format::Json => output::json(&Said {
            format: "virtflow-analyze",
            version: 1,
            store: &path,
            entities: written.entities,
            intervals: written.intervals,
            edges: written.edges,
            exits: written.exits,
            bytes: written.bytes,
            trace_bytes: recording.bytes(),
            complete,
        })?,
        Format::Text => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", path.display())?;
            writeln!(
                out,
                "{} intervals of {} entities, {} exits, {} edges;",
                number(written.intervals),
                number(written.entities),
                number(written.exits),
                number(written.edges)
            )?;
            writeln!(
                out,
                "{} of a trace of {}, in {:.1} s",
                size(written.bytes),
                size(recording.bytes()),
                begun.elapsed().as_secs_f64()
            )?;
        }
    }
    Ok(if complete {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// Says how the clock of one of several machines was aligned, loudly where it was not.
fn tell_clock(facts: &Facts) {
    let Some(clock) = &facts.clock else { return };
    let name = &facts.name;
    match (clock.error_ns, clock.ahead_ns, clock.drift_ppm) {
        _ if clock.state == "reference" => {
            output::complain(&format!("virtflow: all times are on the clock of {name}"));
        }
        (Some(error), Some(ahead), drift) => output::complain(&format!(
            "virtflow: the clock of {name} was {:.6} s ahead and drifts by {:+.3} ppm; aligned to within {} by {} messages",
            ahead as f64 / 1e9,
            drift.unwrap_or_default(),
            output::duration(error),
            number(clock.sent + clock.received),
        )),
        _ => output::complain(&format!(
            "virtflow: warning: the clock of {name} could not be aligned ({}): its times are shown as they are and \
             cannot be compared with those of {}",
            clock.state, clock.reference
        )),
    }
}

fn place(args: &AnalyzeArgs, recording: &Recording, options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = &args.output {
        return Ok(path.clone());
    }
    if !args.traces.tell_all() {
        let what =
            "--tsc-offset: what was given is not kept in the cache; name a store with -o DIR";
        return Err(UsageError(what.to_owned()).into());
    }
    let cache = cache::here().context(
        "there is no place to keep the store: neither XDG_CACHE_HOME nor HOME is set; name one with -o DIR",
    )?;
    std::fs::create_dir_all(cache.directory())
        .with_context(|| format!("{}: cannot create", cache.directory().display()))?;
    cache
        .place(recording, options)
        .context("the files of the trace cannot be listed")
}

/// Ctrl-C ends the pass; what was written until then is removed. A second one ends at once.
pub(crate) fn stop_on_interrupt(progress: &Arc<Progress>) -> anyhow::Result<()> {
    let progress = Arc::clone(progress);
    let mut asked = false;
    ctrlc::set_handler(move || {
        progress.stop();
        if asked {
            std::process::exit(crate::EXIT_INTERRUPTED);
        }
        asked = true;
    })?;
    Ok(())
}

/// The store at hand, the one that was kept, or a new one.
pub(crate) fn analysed(traces: &Traces, no_cache: bool, scratch: &Path) -> anyhow::Result<Store> {
    if let Some(store) = traces.store() {
        return Ok(Store::open(store)?);
    }
    let recording = traces.recording()?;
    let options = Options::default();
    let cache = if no_cache { None } else { cache::here() };
    let cache = traces.cached(cache.as_ref());
    if let Some(store) = cache.and_then(|c| c.find(&recording, &options)) {
        return Ok(store);
    }
    let kept = cache.and_then(|cache| {
        std::fs::create_dir_all(cache.directory()).ok()?;
        cache.place(&recording, &options)
    });
    let path = kept.unwrap_or_else(|| scratch.join("store"));
    let bar = Bar::new(recording.bytes());
    stop_on_interrupt(&bar.progress)?;
    let made = make(&recording, &path, &options, &bar.progress, |_| ())?;
    drop(bar);
    match made {
        Making::Done(..) => {}
        Making::Stopped => bail!("stopped; nothing was kept"),
    }
    if let Some(cache) = cache {
        cache.shrink(&path)?;
    }
    Ok(Store::open(&path)?)
}
