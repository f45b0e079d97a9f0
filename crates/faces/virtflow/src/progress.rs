//! Progress on standard error for anything long, and Ctrl-C that leaves nothing broken.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use virtflow_query::Progress;

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
const REFRESH: Duration = Duration::from_millis(100);

/// A bar that follows a [`Progress`] until it is dropped.
pub(crate) struct Bar {
    pub(crate) progress: Arc<Progress>,
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows how much of `bytes` has been read; nothing where standard error is no terminal.
    pub(crate) fn new(bytes: u64) -> Self {
        let progress = Arc::new(Progress::default());
        if !std::io::stderr().is_terminal() {
            return Self {
                progress,
                done: None,
                thread: None,
            };
        }
        let (done, finished) = channel();
        let shared = Arc::clone(&progress);
        let thread = std::thread::spawn(move || show(&shared, bytes, &finished));
        Self {
            progress,
            done: Some(done),
            thread: Some(thread),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(progress: &Progress, bytes: u64, finished: &Receiver<()>) {
    if finished.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let template = "reading {bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    while finished.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
        bar.set_position(progress.bytes());
    }
    bar.finish_and_clear();
}
