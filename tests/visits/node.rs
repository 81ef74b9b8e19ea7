//! A node as a process: `session_tests::visits`, on the tiers of the environment.

use std::io::{self, Write};
use std::net::Ipv4Addr;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = session_tests::visits::node().await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    axum::serve(listener, app).await?;
    Ok(())
}
