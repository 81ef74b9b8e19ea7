//! Evicts items from a memcached.

use std::io;
use std::net::SocketAddr;

use fastrand::Rng;
use session_tests::services::memcached::Memcached;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How memcached is started: with so little memory that it evicts when it is filled.
pub(super) const LITTLE_MEMORY: [&str; 2] = ["-m", "2"];
/// More than memcached keeps of items of one size, in bytes: a slab page is a mebibyte.
const FILLING: usize = 3 << 20;

/// Deletes about half the items, of any kind: values, leases, fences and tombstones.
pub(super) async fn delete_half(address: SocketAddr, random: &mut Rng) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(b"lru_crawler metadump all\r\n").await?;
    let mut keys = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        // `BUSY` if the crawler is running already.
        match line.strip_prefix("key=").and_then(|rest| rest.split(' ').next()) {
            Some(key) => keys.push(key.to_owned()),
            None => break,
        }
    }
    for key in keys.iter().filter(|_| random.bool()) {
        stream.write_all(format!("delete {key}\r\n").as_bytes()).await?;
        stream.read_line(&mut String::new()).await?;
    }
    Ok(())
}

/// Stores items of one size until memcached has evicted those of about that size that it had.
pub(super) async fn fill(address: SocketAddr, random: &mut Rng) -> io::Result<()> {
    fill_with(address, random.usize(20..900)).await
}

async fn fill_with(address: SocketAddr, len: usize) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let value = "x".repeat(len);
    let count = FILLING / (len + 60);
    let item = |number| format!("set filling-{number} 0 2 {len} noreply\r\n{value}\r\n");
    let items: Vec<_> = (0..count).map(item).collect();
    stream.write_all(items.concat().as_bytes()).await?;
    stream.write_all(b"version\r\n").await?;
    stream.read_line(&mut String::new()).await?;
    Ok(())
}

#[tokio::test]
async fn a_memcached_that_is_filled_evicts_what_it_had() {
    let Some(memcached) = Memcached::start_with(&LITTLE_MEMORY) else {
        return;
    };
    for len in [40, 200, 800] {
        let item = format!("set item 0 0 {len}\r\n{}\r\n", "x".repeat(len));
        assert_eq!(memcached.send(&item).unwrap(), "STORED");
        fill_with(memcached.address(), len).await.unwrap();
        assert_eq!(memcached.send("get item\r\n").unwrap(), "END", "{len}");
    }
}
