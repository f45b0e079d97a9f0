//! `virtflow top`: what every VM does, now.

mod app;
mod batch;
mod columns;
mod draw;
mod prometheus;
mod screen;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod wanted;

use crate::args::{TopArgs, TopFormat, UsageError};
use crate::output::complain;
use crate::{EXIT_INTERRUPTED, Finish};
use prometheus::Latest;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How it shows what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Screen,
    Batch,
    /// Only to Prometheus.
    Nowhere,
}

pub(crate) fn run(args: &TopArgs) -> anyhow::Result<Finish> {
    let shown = shown(args)?;
    let interrupted = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if asked.fetch_add(1, Ordering::Relaxed) > 1 {
            std::process::exit(EXIT_INTERRUPTED);
        }
    })?;
    let latest = args.listen.map(|_| Latest::default());
    let mut source = source::start(args, shown == Shown::Batch, latest.clone())?;
    if let (Some(address), Some(latest)) = (args.listen, latest) {
        let address = prometheus::serve(address, latest)?;
        if shown != Shown::Screen {
            complain(&format!("virtflow: metrics at http://{address}/metrics"));
        }
    }
    let finish = match shown {
        Shown::Screen => screen::run(args, &mut source, &interrupted),
        Shown::Batch => batch::run(args, &mut source, &interrupted),
        Shown::Nowhere => batch::silent(&mut source, &interrupted),
    };
    source.end();
    finish
}

fn shown(args: &TopArgs) -> anyhow::Result<Shown> {
    if args.batch || args.format == TopFormat::Jsonl {
        return Ok(Shown::Batch);
    }
    if std::io::stdout().is_terminal() {
        return Ok(Shown::Screen);
    }
    if args.listen.is_some() {
        return Ok(Shown::Nowhere);
    }
    let what = "standard output is no terminal: give --batch, or --listen for Prometheus alone";
    Err(UsageError(what.to_owned()).into())
}
