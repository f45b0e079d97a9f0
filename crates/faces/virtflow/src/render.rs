//! `virtflow render`: pictures without a browser.

use crate::analyze::stop_on_interrupt;
use crate::args::{RenderArgs, RenderView, UsageError};
use crate::progress::Bar;
use crate::{Finish, cache, range};
use anyhow::{Context, bail};
use std::path::Path;
use virtflow_base::{Span, Timestamp};
use virtflow_query::store::{Making, Manifest, Store, facts, make};
use virtflow_query::{Facts, Options, Recording};
use virtflow_render::{Picture, Request, View};

pub(crate) fn run(args: &RenderArgs) -> anyhow::Result<Finish> {
    let kind = Form::of(&args.output)?;
    // What is not kept goes when all is drawn.
    let scratch = tempfile::tempdir().context("no place for the analysis")?;
    let store = open(args, scratch.path())?;
    let told = facts(&store)?;
    let span = span(args, &told)?;
    let whole = span == Span::ALL;
    let request = Request {
        view: match args.view {
            RenderView::Vms => View::Vms,
            RenderView::Processes => View::Processes,
            RenderView::Resources => View::Resources,
            RenderView::Overview => View::Overview,
            RenderView::Budgets => View::Budgets,
            RenderView::Waits => View::Waits,
            RenderView::Matrix => View::Matrix,
            RenderView::Exits => View::Exits,
            RenderView::States => View::States,
        },
        vm: args.vm.clone(),
        begin: (!whole).then(|| span.start.as_nanos()),
        end: (!whole).then(|| span.end.as_nanos()),
        width: args.width,
        rows: args.rows,
        title: store.manifest().name.clone(),
    };
    let picture = Picture::new(&store, request)?;
    let bytes = match kind {
        Form::Svg => picture.svg().into_bytes(),
        Form::Png => picture.png(f32::from(args.scale))?,
        Form::Csv => picture.csv()?.into_bytes(),
    };
    std::fs::write(&args.output, bytes)
        .with_context(|| format!("{}: cannot write", args.output.display()))?;
    Ok(if told.iter().all(Facts::is_complete) {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// What a file's ending asks for.
enum Form {
    Svg,
    Png,
    Csv,
}

impl Form {
    fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("csv") => Ok(Self::Csv),
            _ => Err(UsageError(format!(
                "-o {}: the name does not end in .svg, .png or .csv",
                path.display()
            ))),
        }
    }
}

/// The store at hand, the one that was kept, or a new one.
fn open(args: &RenderArgs, scratch: &Path) -> anyhow::Result<Store> {
    if Manifest::is_store(&args.trace) {
        return Ok(Store::open(&args.trace)?);
    }
    let recording = Recording::open(&args.trace)?;
    let options = Options::default();
    let cache = if args.no_cache { None } else { cache::here() };
    if let Some(store) = cache.as_ref().and_then(|c| c.find(&recording, &options)) {
        return Ok(store);
    }
    let kept = cache.as_ref().and_then(|cache| {
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
        Making::Stopped => bail!("stopped; nothing was drawn"),
    }
    if let Some(cache) = cache {
        cache.shrink(&path)?;
    }
    Ok(Store::open(&path)?)
}

fn span(args: &RenderArgs, told: &[Facts]) -> anyhow::Result<Span> {
    let begins = told.iter().filter_map(|f| f.begin_ns).min();
    let begins = Timestamp::from_nanos(begins.unwrap_or_default());
    Ok(range::parse(args.range.as_deref(), begins, args.local)?)
}
