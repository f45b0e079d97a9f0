//! What became of each request, in true time.

use super::BEGIN_NS;
use super::host::{Host, Ns};
use crate::SynthError;
use std::fmt::Write as _;
use std::path::Path;

/// A stretch of a request's critical path.
#[derive(Clone, Copy, Debug)]
struct Leg {
    host: usize,
    thread: usize,
    what: &'static str,
    from: Ns,
    to: Ns,
}

#[derive(Debug)]
struct Request {
    host: usize,
    thread: usize,
    begin: Ns,
    legs: Vec<Leg>,
    done: bool,
}

/// All requests.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<Request>);

impl Requests {
    /// A thread begins one; gives its number.
    pub(super) fn begin(&mut self, host: usize, thread: usize, at: Ns) -> usize {
        self.0.push(Request {
            host,
            thread,
            begin: at,
            legs: Vec::new(),
            done: false,
        });
        self.0.len() - 1
    }

    /// The path of a request goes on with a thread until a moment; nothing where it got there before.
    pub(super) fn leg(
        &mut self,
        request: Option<usize>,
        (host, thread): (usize, usize),
        what: &'static str,
        to: Ns,
    ) {
        let Some(request) = request.and_then(|request| self.0.get_mut(request)) else {
            return;
        };
        let from = request.legs.last().map_or(request.begin, |leg| leg.to);
        if to <= from {
            return;
        }
        match request.legs.last_mut() {
            Some(leg) if (leg.host, leg.thread, leg.what) == (host, thread, what) => leg.to = to,
            _ => request.legs.push(Leg {
                host,
                thread,
                what,
                from,
                to,
            }),
        }
    }

    /// It is answered.
    pub(super) fn end(&mut self, request: usize) {
        self.0[request].done = true;
    }

    /// Writes those that were answered, and how many they are.
    pub(super) fn write(&self, truth: &Path, hosts: &[Host]) -> Result<u64, SynthError> {
        let mut requests = String::from("request,machine,tid,begin_ns,end_ns\n");
        let mut paths = String::from("request,machine,tid,comm,what,from_ns,to_ns\n");
        let mut count = 0;
        for (number, request) in self.0.iter().enumerate().filter(|(_, r)| r.done) {
            count += 1;
            let host = &hosts[request.host];
            let (begin, end) = (
                BEGIN_NS + request.begin,
                BEGIN_NS + request.legs.last().map_or(request.begin, |leg| leg.to),
            );
            let (name, tid) = (&host.name, host.threads[request.thread].tid);
            let _ = writeln!(requests, "{number},{name},{tid},{begin},{end}");
            for leg in &request.legs {
                let host = &hosts[leg.host];
                let thread = &host.threads[leg.thread];
                let (name, tid, comm) = (&host.name, thread.tid, thread.name());
                let (what, from, to) = (leg.what, BEGIN_NS + leg.from, BEGIN_NS + leg.to);
                let _ = writeln!(paths, "{number},{name},{tid},{comm},{what},{from},{to}");
            }
        }
        let write = |file: &str, text: &str| {
            let path = truth.join(file);
            std::fs::write(&path, text).map_err(|source| SynthError::Truth { path, source })
        };
        write("requests.csv", &requests)?;
        write("paths.csv", &paths)?;
        Ok(count)
    }
}
