//! Which requests are answered at all.
//!
//! A page of somebody else's in the user's browser can send requests to loopback: by DNS rebinding
//! it even reads the answers. So the `Host` must be a name of this server, an `Origin` must be the
//! server's own, and where others can reach it, a token must be known.

use crate::app::App;
use crate::reply::Failure;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fmt;
use std::sync::Arc;

/// Bytes of a token that chance makes.
const TOKEN_BYTES: usize = 16;

/// A secret that requests must know. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn random() -> Result<Self, std::io::Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self(bytes.iter().map(|b| format!("{b:02x}")).collect()))
    }

    /// One that somebody chose.
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the one who started the server.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not tell where the first difference is.
    fn is(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        let differences = own.iter().zip(given).map(|(a, b)| a ^ b);
        own.len() == given.len() && differences.fold(0, |all, one| all | one) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let data = request.uri().path().starts_with("/api/");
    let mut response = match check(&app, request.headers(), data) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    set("cross-origin-resource-policy", "same-origin");
    set(
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    response
}

fn check(app: &App, headers: &HeaderMap, data: bool) -> Result<(), Failure> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let host = text(HOST).unwrap_or_default();
    if !is_own(app, host) {
        return Err(Failure::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong-host",
            "the request was meant for another host; --host NAME adds a name of this one",
        ));
    }
    if let Some(origin) = text(ORIGIN)
        && !origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(|from| from.eq_ignore_ascii_case(host))
    {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "wrong-origin",
            "the request comes from a page of another server",
        ));
    }
    let Some(token) = app.options.token.as_ref().filter(|_| data) else {
        return Ok(());
    };
    let given = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    if given.is_some_and(|given| token.is(given)) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNAUTHORIZED,
        "no-token",
        "the server asks for its token; it is in the address that `virtflow serve` printed",
    ))
}

/// Whether a `Host` header names this server.
fn is_own(app: &App, host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // `[::1]` has colons of its own.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, Some(80)),
    };
    let address = app.address.ip();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let by_address = bare.parse().is_ok_and(|ip: std::net::IpAddr| {
        ip == address || (address.is_loopback() && ip.is_loopback()) || address.is_unspecified()
    });
    let by_name = (address.is_loopback() || address.is_unspecified())
        && name.eq_ignore_ascii_case("localhost");
    let told = app
        .options
        .hosts
        .iter()
        .any(|h| h.eq_ignore_ascii_case(name));
    // A proxy in front may have another port: then the name was told.
    told || (port == Some(app.address.port()) && (by_address || by_name))
}
