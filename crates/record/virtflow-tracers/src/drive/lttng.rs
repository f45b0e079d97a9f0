//! A session of LTTng, from its creation to its end.

use super::{Driven, EVERY, Step, command, exit_code};
use crate::lttng::{after, before};
use crate::{Plan, Tracer, TracerError};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A session that is there until it is destroyed.
struct Session<'a> {
    plan: &'a Plan,
    name: &'a str,
    there: bool,
}

impl Session<'_> {
    fn run(&mut self, argv: &[String]) -> Result<(), TracerError> {
        Step::new(Tracer::Lttng, argv).run()?;
        self.there = true;
        Ok(())
    }

    fn end(mut self) -> Result<(), TracerError> {
        let [stop, destroy] = after(self.plan, self.name);
        self.run(&stop)?;
        self.run(&destroy)?;
        self.there = false;
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if self.there {
            let [_, destroy] = after(self.plan, self.name);
            // What led here is said; of this nothing more can be.
            let _ = Step::new(Tracer::Lttng, &destroy).run();
        }
    }
}

pub(super) fn record(plan: &Plan, interrupted: &AtomicUsize) -> Result<Driven, TracerError> {
    let output = &plan.wanted.output;
    let absolute = std::path::absolute(output);
    let absolute = absolute.map_err(|error| TracerError::System(output.clone(), error))?;
    let name = format!("virtflow-{}", std::process::id());
    let mut session = Session {
        plan,
        name: &name,
        there: false,
    };
    for (_, argv) in before(plan, &name, &absolute) {
        if interrupted.load(Ordering::Relaxed) > 0 {
            return Err(TracerError::Interrupted("nothing was recorded"));
        }
        session.run(&argv)?;
    }
    let begun = Instant::now();
    let child = meanwhile(plan, begun, interrupted);
    let elapsed = begun.elapsed();
    session.end()?;
    let (ended, code) = match child? {
        Some(mut child) => {
            let system = |error| TracerError::System(program(plan).into(), error);
            let program = program(plan);
            match child.try_wait().map_err(system)? {
                None => (
                    Some(format!("{program} goes on (process {})", child.id())),
                    None,
                ),
                Some(status) => (
                    (!status.success()).then(|| format!("{program} ended with {status}")),
                    Some(exit_code(status)),
                ),
            }
        }
        None => (None, None),
    };
    let trace = plan.trace();
    if !trace.is_dir() {
        let error = std::io::Error::other("LTTng wrote nothing there");
        return Err(TracerError::System(trace, error));
    }
    Ok(Driven {
        trace,
        elapsed,
        ended,
        code,
    })
}

fn program(plan: &Plan) -> &str {
    plan.wanted.command.first().map_or("", String::as_str)
}

/// Runs the command, if there is one, and waits until it is time. It goes on if it is not at its end.
fn meanwhile(
    plan: &Plan,
    begun: Instant,
    interrupted: &AtomicUsize,
) -> Result<Option<Child>, TracerError> {
    let argv = &plan.wanted.command;
    let mut child = None;
    if !argv.is_empty() {
        let started = command(argv).spawn();
        let program = Path::new(program(plan));
        child = Some(started.map_err(|error| TracerError::System(program.to_owned(), error))?);
    }
    loop {
        let ended = child
            .as_mut()
            .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        let over = plan
            .wanted
            .duration
            .is_some_and(|whole| begun.elapsed() >= whole);
        if ended || over || interrupted.load(Ordering::Relaxed) > 0 {
            return Ok(child);
        }
        std::thread::sleep(EVERY);
    }
}
