//! What the server has open.

use crate::guard::Token;
use crate::source::{Source, Status};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Semaphore, broadcast, watch};
use virtflow_query::store::Cache;

/// Answers that are being worked out at once; further ones wait.
const WORK_MAX: usize = 8;
/// Traces and stores that are open at once.
const SOURCES_MAX: usize = 64;
/// Messages about progress that a slow reader may be behind.
const NEWS_MAX: usize = 256;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It could not go on.
    #[error("cannot serve: {0}")]
    Serve(std::io::Error),
    /// Not loopback, and no token.
    #[error("{0} is not loopback: whoever reaches it needs a token")]
    NoToken(SocketAddr),
}

/// What may be chosen.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What a request must know; needed where others can reach the server.
    pub token: Option<Token>,
    /// Names by which the server may be asked for beside its address and `localhost`.
    pub hosts: Vec<String>,
    /// Where traces and stores may be opened by name; nowhere without it.
    pub root: Option<PathBuf>,
    /// Where analyses are kept.
    pub cache: Option<Cache>,
    /// Where analyses go that are not kept.
    pub scratch: PathBuf,
    /// A built page on disk in place of the one in the program.
    pub web_root: Option<PathBuf>,
}

/// What the server has open, for all requests.
#[derive(Debug)]
pub struct App {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    sources: RwLock<Vec<Arc<Source>>>,
    next: AtomicUsize,
    pub(crate) work: Arc<Semaphore>,
    pub(crate) news: broadcast::Sender<Status>,
    ended: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(options: Options, address: SocketAddr) -> Self {
        Self {
            options,
            address,
            sources: RwLock::default(),
            next: AtomicUsize::new(0),
            work: Arc::new(Semaphore::new(WORK_MAX)),
            news: broadcast::channel(NEWS_MAX).0,
            ended: watch::Sender::new(false),
        }
    }

    /// Opens a trace or a store; a trace that was not analysed before is analysed while it can
    /// already be looked at. One that is open already is the same one.
    pub fn open(&self, path: &Path) -> Result<String, String> {
        let path = path
            .canonicalize()
            .map_err(|e| format!("{}: cannot open: {e}", path.display()))?;
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sources.iter().find(|s| s.path() == path) {
            return Ok(open.id().to_owned());
        }
        if sources.len() >= SOURCES_MAX {
            return Err(format!(
                "{SOURCES_MAX} traces and stores are open: close some first"
            ));
        }
        let id = format!("s{}", self.next.fetch_add(1, Ordering::Relaxed));
        let source = Source::open(
            id.clone(),
            path,
            self.options.cache.clone(),
            &self.options.scratch,
            self.news.clone(),
        )?;
        sources.push(source);
        Ok(id)
    }

    /// Closes one; what is being worked out of it ends.
    pub(crate) fn close(&self, id: &str) -> bool {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = sources.iter().position(|s| s.id() == id) else {
            return false;
        };
        sources.remove(at).stop();
        true
    }

    pub(crate) fn sources(&self) -> Vec<Arc<Source>> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.clone()
    }

    pub(crate) fn source(&self, id: &str) -> Option<Arc<Source>> {
        self.sources().into_iter().find(|s| s.id() == id)
    }

    /// Ends what goes on: analyses are stopped, streams of news end.
    pub(crate) fn stop(&self) {
        let _ = self.ended.send(true);
        self.sources().iter().for_each(|source| source.stop());
    }

    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }
}
