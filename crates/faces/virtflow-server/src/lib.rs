//! The page and what it asks: traces and stores over HTTP.
//!
//! It listens on loopback unless told otherwise, serves only what it was given, and answers only
//! requests that were meant for it ([`guard`]). [docs/http.md] has the routes.
//!
//! [docs/http.md]: https://example.invalid/virtflow/docs/http.md

mod app;
mod arrow;
mod extract;
mod guard;
mod page;
mod reply;
mod routes;
mod source;

pub use app::{App, Options, ServeError};
pub use guard::Token;

use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where a server listens, before it serves.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

impl Bound {
    /// Listens at `address`.
    pub async fn new(address: SocketAddr, options: Options) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            app: Arc::new(App::new(options, address)),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves; traces and stores are opened there.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Serves until `ended`; requests that are under way are finished.
    pub async fn serve(
        self,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let app = Arc::clone(&self.app);
        let stop = async move {
            ended.await;
            app.stop();
        };
        axum::serve(self.listener, router(&self.app))
            .with_graceful_shutdown(stop)
            .await
            .map_err(ServeError::Serve)
    }
}

/// All routes, with what guards them.
pub fn router(app: &Arc<App>) -> Router {
    let guarded = axum::middleware::from_fn_with_state(Arc::clone(app), guard::guard);
    routes::all()
        .fallback(page::page)
        .layer(guarded)
        .layer(axum::extract::DefaultBodyLimit::max(routes::BODY_BYTES_MAX))
        .with_state(Arc::clone(app))
}
