//! One node of the attack as a process: `session_tests::attack`, on the tiers of the environment, with a clock that is fast by
//! `CLOCK_FAST_BY` seconds, if that is set.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use session_runtime::Builder;
use session_tests::attack::{self, WrongClock};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fast_by = std::env::var("CLOCK_FAST_BY");
    let clock = WrongClock(fast_by.as_deref().unwrap_or("0").parse()?);
    let builder = attack::with_bounds(Builder::from_env().await?).clock(clock);
    let store = builder.build().await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    axum::serve(listener, attack::app(&store)).await?;
    Ok(())
}
