//! `virtflow serve`: the page.

use crate::args::ServeArgs;
use crate::output::complain;
use crate::{Finish, cache};
use anyhow::Context;
use std::env;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use virtflow_server::{Bound, Options, ServeError, Token};

/// Where it listens unless told otherwise.
const PORT: u16 = 7711;

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Finish> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(serve(args))?;
    Ok(Finish::Complete)
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let standard = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let address = args.listen.unwrap_or(standard);
    let options = Options {
        token: token(args, address)?,
        hosts: args.host.clone(),
        root: args.root.clone(),
        cache: if args.no_cache { None } else { cache::here() },
        scratch: env::temp_dir(),
        web_root: args.web_root.clone(),
    };
    let bound = match Bound::new(address, options.clone()).await {
        Err(ServeError::Listen { .. }) if args.listen.is_none() => {
            Bound::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options.clone()).await?
        }
        other => other?,
    };
    let app = bound.app();
    for trace in &args.traces {
        app.open(trace).map_err(anyhow::Error::msg)?;
    }
    let page = page(&options, bound.address());
    say(&page, bound.address());
    if !args.no_open && has_display() {
        // Where there is no browser, the address is on the screen.
        let _ = open::that_detached(&page);
    }
    bound.serve(interrupted()).await?;
    Ok(())
}

fn token(args: &ServeArgs, address: SocketAddr) -> anyhow::Result<Option<Token>> {
    let given = args
        .token
        .clone()
        .or_else(|| env::var("VIRTFLOW_TOKEN").ok());
    if let Some(secret) = given.filter(|secret| !secret.is_empty()) {
        return Ok(Some(Token::new(secret)));
    }
    if address.ip().is_loopback() {
        return Ok(None);
    }
    complain(&format!(
        "virtflow: warning: {} can be reached from other machines, and what is sent is not encrypted; \
         whoever knows the token sees the traces",
        address.ip()
    ));
    Ok(Some(Token::random().context("cannot make a token")?))
}

/// The address of the page. What follows `#` stays in the browser and in nobody's log.
fn page(options: &Options, address: SocketAddr) -> String {
    let secret = options
        .token
        .as_ref()
        .map_or_else(String::new, |token| format!("#token={}", token.secret()));
    let shown = match (options.hosts.first(), address.ip().is_unspecified()) {
        (Some(name), _) => format!("{name}:{}", address.port()),
        (None, true) => format!("localhost:{}", address.port()),
        (None, false) => address.to_string(),
    };
    format!("http://{shown}/{secret}")
}

/// Says where the page is, on one go: whoever reads only the first line may be gone then, and the
/// server goes on.
fn say(page: &str, address: SocketAddr) {
    let port = address.port();
    let far = address.ip().is_loopback() && env::var_os("SSH_CONNECTION").is_some();
    let tunnel = if far {
        format!(
            "To see it from where you sit: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE, then open it there.\n"
        )
    } else {
        String::new()
    };
    let text = format!("{page}\n{tunnel}Ctrl-C ends it.\n");
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn has_display() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Returns when the program is asked to end.
async fn interrupted() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut ended) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c => {}
                _ = ended.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is nothing to wait for but the signal itself.
    if ctrl_c.await.is_err() {
        std::future::pending::<()>().await;
    }
}
