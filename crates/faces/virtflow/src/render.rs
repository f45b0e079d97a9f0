//! `virtflow render`: pictures without a browser.

use crate::analyze::analysed;
use crate::args::{RenderArgs, RenderView, UsageError};
use crate::{Finish, range};
use anyhow::Context;
use std::path::Path;
use virtflow_base::Span;
use virtflow_query::Facts;
use virtflow_query::store::facts;
use virtflow_render::{Picture, Request, View};

pub(crate) fn run(args: &RenderArgs) -> anyhow::Result<Finish> {
    let kind = Form::of(&args.output)?;
    if args.view == RenderView::CriticalPath && args.of.is_none() {
        let what = "--view critical-path needs --of WHO: a thread's number, a key or a name";
        return Err(UsageError(what.to_owned()).into());
    }
    // What is not kept goes when all is drawn.
    let scratch = tempfile::tempdir().context("no place for the analysis")?;
    let store = analysed(&args.traces, args.no_cache, scratch.path())?;
    let told = facts(&store)?;
    let span = range::of(args.range.as_deref(), &told, args.local)?;
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
            RenderView::CriticalPath => View::CriticalPath,
        },
        vm: args.vm.clone(),
        of: args.of.clone(),
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
