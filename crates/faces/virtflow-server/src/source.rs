//! A trace or a store that is open.

use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::broadcast;
use virtflow_query::store::{Cache, Making, Manifest, Store, make, trace_of};
use virtflow_query::{Options, Progress, Recording};

/// How often an analysis that goes on is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whether it can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Analysing,
    Complete,
    Failed,
}

/// What is told of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) state: State,
    pub(crate) error: Option<String>,
    pub(crate) bytes_read: u64,
    pub(crate) bytes: u64,
    pub(crate) begin_ns: Option<String>,
    pub(crate) end_ns: Option<String>,
    pub(crate) complete_to_ns: Option<String>,
}

/// A trace or a store that is open.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    status: Mutex<Status>,
    store: RwLock<Option<Store>>,
    /// Where the raw events are, if they are still there.
    trace: RwLock<Option<Arc<Recording>>>,
    progress: Arc<Progress>,
    news: broadcast::Sender<Status>,
    id: String,
    /// A store that goes when the source is closed.
    temporary: Mutex<Option<PathBuf>>,
}

impl Source {
    pub(crate) fn open(
        id: String,
        path: PathBuf,
        cache: Option<Cache>,
        scratch: &Path,
        news: broadcast::Sender<Status>,
    ) -> Result<Arc<Self>, String> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let mut status = Status {
            id: id.clone(),
            name: name.to_string_lossy().into_owned(),
            kind: "store",
            state: State::Analysing,
            error: None,
            bytes_read: 0,
            bytes: 0,
            begin_ns: None,
            end_ns: None,
            complete_to_ns: None,
        };
        let stored = Manifest::is_store(&path);
        let recording = if stored {
            None
        } else {
            status.kind = "trace";
            let recording = Recording::open(&path).map_err(|e| e.to_string())?;
            status.bytes = recording.bytes();
            Some(Arc::new(recording))
        };
        let source = Arc::new(Self {
            path: path.clone(),
            status: Mutex::new(status),
            store: RwLock::default(),
            trace: RwLock::new(recording.clone()),
            progress: Arc::default(),
            news,
            id,
            temporary: Mutex::default(),
        });
        let Some(recording) = recording else {
            let store = Store::open(&path).map_err(|e| e.to_string())?;
            source.set_trace_of(&store);
            source.complete(store);
            return Ok(source);
        };
        let options = Options::default();
        if let Some(store) = cache.as_ref().and_then(|c| c.find(&recording, &options)) {
            source.complete(store);
            return Ok(source);
        }
        let target = match &cache {
            Some(cache) => {
                std::fs::create_dir_all(cache.directory())
                    .map_err(|e| format!("{}: cannot create: {e}", cache.directory().display()))?;
                cache.place(&recording, &options)
            }
            None => None,
        };
        let target = target.unwrap_or_else(|| {
            let path = scratch.join(format!("virtflow-{}-{}", std::process::id(), source.id));
            *lock(&source.temporary) = Some(path.clone());
            path
        });
        let analysed = Arc::clone(&source);
        std::thread::spawn(move || analysed.analyse(&recording, &target, cache.as_ref()));
        Ok(source)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn status(&self) -> Status {
        let mut status = lock(&self.status).clone();
        if status.state == State::Analysing {
            status.bytes_read = self.progress.bytes();
        }
        status
    }

    /// What can be read so far.
    pub(crate) fn store(&self) -> Option<Store> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone()
    }

    pub(crate) fn trace(&self) -> Option<Arc<Recording>> {
        let trace = self.trace.read().unwrap_or_else(PoisonError::into_inner);
        trace.clone()
    }

    pub(crate) fn stop(&self) {
        self.progress.stop();
        if let Some(path) = lock(&self.temporary).take() {
            // It may never have been made.
            let _ = std::fs::remove_dir_all(path);
        }
    }

    /// Runs the pass; meanwhile another thread looks at what there is.
    fn analyse(&self, recording: &Recording, target: &Path, cache: Option<&Cache>) {
        let growing = Mutex::new(None);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::thread::park_timeout(LOOK_EVERY);
                    let at: Option<PathBuf> = lock(&growing).clone();
                    self.look(at.as_deref());
                }
            });
            let made = make(
                recording,
                target,
                &Options::default(),
                &self.progress,
                |path| {
                    *lock(&growing) = Some(path.to_owned());
                },
            );
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            match made {
                Ok(Making::Done(..)) => match Store::open(target) {
                    Ok(store) => {
                        if let Some(cache) = cache {
                            // What is too much goes the next time.
                            let _ = cache.shrink(target);
                        }
                        self.complete(store);
                    }
                    Err(error) => self.fail(error.to_string()),
                },
                Ok(Making::Stopped) => self.fail("the analysis was stopped".to_owned()),
                Err(error) => self.fail(error.to_string()),
            }
        });
    }

    fn look(&self, growing: Option<&Path>) {
        // Between two files of the store nothing can be opened; there is a next time.
        let grown = growing.and_then(|path| Store::open_growing(path).ok());
        if let Some(store) = grown {
            let mut status = lock(&self.status);
            if status.state != State::Analysing {
                return;
            }
            let to = store.manifest().progress.complete_to_ns;
            status.complete_to_ns = to.map(|t| t.to_string());
            bounds(&mut status, &store);
            self.has(store);
        }
        self.tell();
    }

    fn complete(&self, store: Store) {
        let mut status = lock(&self.status);
        status.state = State::Complete;
        status.bytes_read = status.bytes;
        bounds(&mut status, &store);
        status.complete_to_ns = status.end_ns.clone();
        self.has(store);
        drop(status);
        self.tell();
    }

    /// While the status is held: whoever sees that it is complete finds all of it, and what was there
    /// before does not come after it.
    fn has(&self, store: Store) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    fn fail(&self, error: String) {
        let mut status = lock(&self.status);
        status.state = State::Failed;
        status.error = Some(error);
        drop(status);
        self.tell();
    }

    fn tell(&self) {
        // Nobody may be listening.
        let _ = self.news.send(self.status());
    }

    /// The trace that a store was made of, if it is where it was.
    fn set_trace_of(&self, store: &Store) {
        let recording = trace_of(store).ok();
        *self.trace.write().unwrap_or_else(PoisonError::into_inner) = recording.map(Arc::new);
    }
}

fn bounds(status: &mut Status, store: &Store) {
    let told = store.manifest().machines.iter();
    let span = store.span();
    let begin = span
        .map(|s| s.0)
        .or_else(|| told.clone().map(|m| m.begin_ns).min());
    let end = if status.state == State::Complete {
        span.map(|s| s.1)
    } else {
        told.map(|m| m.end_ns).max()
    };
    status.begin_ns = begin.map(|t| t.to_string());
    status.end_ns = end.map(|t| t.to_string());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
