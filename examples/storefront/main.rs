//! A small shop: `GET /` is a page for people, `/api` is for programs. The README of the examples says how to run it.

mod actions;
mod api;
pub(crate) mod app;
mod devices;
mod forms;
mod health;
mod input;
mod page;
mod problem;
mod session;
mod steps;
mod user_agent;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use session_runtime::{BuildError, CascadeStore};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    // What the store has to say at its start is for whoever runs it; RUST_LOG asks for more, or for less.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,session_runtime=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), ServeError> {
    let port = port()?;
    let store = CascadeStore::from_env().await?;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|source| ServeError::Listen { port, source })?;
    say_where(&listener)?;
    axum::serve(listener, app::app(&store))
        .with_graceful_shutdown(told_to_stop())
        .await?;

    // Commits outlive the requests that began them; here they end.
    store.drain().await;
    Ok(())
}

/// Why the shop does not open.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("PORT is `{value}`, it must be a number from 0 to 65535")]
    Port {
        value: String,
        source: std::num::ParseIntError,
    },
    #[error("there is no store for the sessions")]
    Store(#[from] BuildError),
    #[error("cannot listen on port {port} of 127.0.0.1 (PORT names another, 0 takes any that is free)")]
    Listen { port: u16, source: std::io::Error },
    #[error("the server failed")]
    Serve(#[from] std::io::Error),
}

fn port() -> Result<u16, ServeError> {
    let Ok(value) = std::env::var("PORT") else {
        return Ok(3000);
    };
    value.parse().map_err(|source| ServeError::Port { value, source })
}

#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
fn say_where(listener: &TcpListener) -> std::io::Result<()> {
    println!("listening on http://{}", listener.local_addr()?);
    Ok(())
}

/// Prints an error and what caused it, outermost first.
#[expect(clippy::print_stderr, reason = "the program ends with it")]
fn explain(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        eprintln!("  because: {cause}");
        next = cause.source();
    }
}

/// Ends with Ctrl-C, or with the SIGTERM that a supervisor sends.
async fn told_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
