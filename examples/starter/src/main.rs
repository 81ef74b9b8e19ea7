//! A small shop to begin an application with. The README says what to change first.

mod app;
mod auth;
mod cart;
mod error;
mod form;
mod pages;
mod passwords;
mod session;
#[cfg(test)]
mod tests;
mod users;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use session_runtime::Builder;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::passwords::Passwords;
use crate::users::Users;

/// How long the session of a visitor who has not signed in is kept without being used: crawlers make most of them.
const ANONYMOUS_IDLE: Duration = Duration::from_hours(24);
/// How long the requests that are under way may take when the program is told to stop.
const SHUTDOWN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stdout().is_terminal())
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT is `{port}`: {error}"))?;
    let store = Builder::from_env()
        .await?
        .anonymous_idle(ANONYMOUS_IDLE)
        .build()
        .await?;
    let app = App {
        users: Users::default(),
        passwords: Passwords::new(argon2::Params::DEFAULT, passwords::at_once())?,
    };
    let router = app::router(app, &store);

    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on port {port} (PORT names another): {error}"))?;
    tracing::info!("listening on http://{}", listener.local_addr()?);

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    let out_of_time = async {
        told_to_stop().await;
        drop(stop);
        tokio::time::sleep(SHUTDOWN).await;
    };
    tokio::select! {
        ended = server => ended?,
        () = out_of_time => tracing::warn!("some requests did not end in time"),
    }
    // Commits outlive the requests that began them; here they end.
    store.drain().await;
    Ok(())
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
