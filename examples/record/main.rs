//! Shows a stored session as JSON, without keys, and without its schema:
//!
//! ```console
//! $ cargo run -p session-examples --example record -- dump.bin
//! $ echo 'get session.n_vunHTry9bRAD77pFs5Yg' | nc -q1 127.0.0.1 11211 | sed 1d | cargo run ... --example record
//! ```
//! It reads a file, or what is piped into it: what memcached or Datastore holds, as bytes, base64 or hex.
//!
//! A schema says more: what is `secret` in a session that is listed in `KNOWN` is not shown.

mod json;
#[path = "../storefront/session.rs"]
mod storefront;

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use serde_json::Value;
use session_runtime::__private::cascade::envelope;
use session_runtime::{Schema, Session};

/// A program of your own lists its own sessions here.
const KNOWN: &[&Schema] = &[storefront::Shop::SCHEMA];
/// More than any tier keeps of one session: memcached and Datastore both end at 1 MiB, and hex is twice that.
const MOST: u64 = 4 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell that it could not be told.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let input = read()?;
    let shown = readings(&input)
        .find_map(|bytes| show(&bytes).transpose())
        .ok_or("this is no stored session: neither bytes, nor base64, nor hex of one")??;
    writeln!(std::io::stdout(), "{shown:#}")?;
    Ok(())
}

fn read() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    match std::env::args_os().nth(1) {
        Some(path) => std::fs::File::open(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .take(MOST)
            .read_to_end(&mut bytes)?,
        None => std::io::stdin().take(MOST).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// The ways to read the input: as bytes, of which the first item counts (memcached puts a line break behind its own), or
/// as text, whose line breaks do not.
fn readings(input: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let text: Vec<u8> = input
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let texts = [hex(&text), STANDARD.decode(&text).ok(), URL_SAFE.decode(&text).ok()];
    std::iter::once(first_item(input)).chain(texts).flatten()
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

/// The input up to the end of its first CBOR item.
fn first_item(input: &[u8]) -> Option<Vec<u8>> {
    let mut rest = input;
    ciborium::from_reader::<ciborium::Value, _>(&mut rest).ok()?;
    Some(input.get(..input.len() - rest.len())?.to_vec())
}

/// A record, or an item of the cache, in an envelope or without; nothing where it is not one.
fn show(bytes: &[u8]) -> Result<Option<Value>, Box<dyn Error>> {
    let payload = envelope::payload(bytes).unwrap_or(bytes);
    let is_cbor = payload.first().is_some_and(|head| head >> 5 == 4 || head >> 5 == 6);
    if !is_cbor {
        return Ok(None);
    }
    let Ok(value) = ciborium::from_reader::<ciborium::Value, _>(payload) else {
        return Ok(None);
    };
    match value {
        ciborium::Value::Array(item) => json::item(&item, KNOWN).transpose(),
        _ => json::record(&Bytes::copy_from_slice(payload), KNOWN).map(Some),
    }
}
