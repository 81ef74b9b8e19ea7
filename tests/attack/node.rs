//! One node of the attack as a process: `session_tests::attack`, on the tiers of the environment.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use session_runtime::Builder;
use session_tests::attack;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let store = attack::with_bounds(Builder::from_env().await?).build().await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    axum::serve(listener, attack::app(&store)).await?;
    Ok(())
}
