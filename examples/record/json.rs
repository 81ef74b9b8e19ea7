//! What is stored, as JSON.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Value, json};
use session_runtime::__private::session::meta::{Millis, SecretHash};
use session_runtime::__private::session::record::Record;
use session_runtime::Schema;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A record: its meta, and its fields whatever they are. Of a session among `known`, what is `secret` is not shown, nor
/// what it does not know.
pub(crate) fn record(bytes: &Bytes, known: &[&Schema]) -> Result<Value, Box<dyn Error>> {
    let record = Record::decode(bytes)?;
    let schema = known.iter().find(|schema| schema.name == record.name());
    let fields = record.fields().map(|(name, value)| {
        let is_hidden = schema.is_some_and(|schema| schema.is_secret(name));
        let value = if is_hidden { json!("[secret]") } else { field(value)? };
        Ok((name.to_owned(), value))
    });
    let fields = fields.collect::<Result<Map<_, _>, Box<dyn Error>>>()?;
    let meta = record.meta();
    let previous = meta.previous.as_ref();
    Ok(json!({
        "name": record.name(),
        "version": record.version(),
        "fingerprint": format!("{:#018x}", record.fingerprint()),
        "bytes": bytes.len(),
        "created": when(meta.created),
        "renewed": when(meta.renewed),
        "deadline": when(meta.deadline),
        "secret_hash": short(&meta.secret),
        "previous_secret": previous.map(|(hash, until)| json!({ "hash": short(hash), "until": when(*until) })),
        "commits": meta.commits,
        "nonces": meta.nonces.iter().map(|nonce| format!("{:016x}", nonce.0)).collect::<Vec<_>>(),
        "fields": fields,
    }))
}

/// What lies in a cache: a value with its record, or what stands in the way of one.
pub(crate) fn item(item: &[Cbor], known: &[&Schema]) -> Option<Result<Value, Box<dyn Error>>> {
    let number = |at: usize| item.get(at)?.as_integer().and_then(|number| u64::try_from(number).ok());
    Some(match (number(0)?, item.len()) {
        (0, 4) => record(&Bytes::copy_from_slice(item.get(3)?.as_bytes()?), known).map(|record| {
            let asked_at = number(2).map(|millis| when(Millis(millis)));
            json!({ "item": "value", "durable_version": number(1), "asked_at": asked_at, "record": record })
        }),
        (1, _) => Ok(json!({ "item": "lease", "of": "a reader that fills the cache" })),
        (2, _) => Ok(json!({ "item": "fence", "of": "a writer that hides the old value" })),
        (3, _) => Ok(json!({ "item": "tombstone", "of": "a session that has ended" })),
        _ => return None,
    })
}

fn field(bytes: &[u8]) -> Result<Value, Box<dyn Error>> {
    Ok(plain(&ciborium::from_reader(bytes)?))
}

/// CBOR as JSON; what JSON has no word for is an object with one key that begins with a `$`.
fn plain(value: &Cbor) -> Value {
    match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => json!(flag),
        Cbor::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
            (Ok(number), _) => json!(number),
            (_, Ok(number)) => json!(number),
            _ => json!({ "$integer": i128::from(*number).to_string() }),
        },
        Cbor::Float(number) if number.is_finite() => json!(number),
        Cbor::Float(number) => json!({ "$float": number.to_string() }),
        Cbor::Text(text) => json!(text),
        Cbor::Bytes(bytes) => json!({ "$bytes": STANDARD.encode(bytes) }),
        Cbor::Array(items) => items.iter().map(plain).collect(),
        Cbor::Map(entries) if entries.iter().all(|(key, _)| key.is_text()) => {
            let named = entries
                .iter()
                .filter_map(|(key, value)| Some((key.as_text()?.to_owned(), plain(value))));
            Value::Object(named.collect())
        }
        Cbor::Map(entries) => {
            let pairs = entries.iter().map(|(key, value)| json!([plain(key), plain(value)]));
            json!({ "$map": pairs.collect::<Vec<_>>() })
        }
        Cbor::Tag(tag, value) => json!({ "$tag": tag, "value": plain(value) }),
        _ => json!({ "$unknown": format!("{value:?}") }),
    }
}

/// RFC 3339, or the number where no calendar reaches.
fn when(millis: Millis) -> Value {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis.0) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .map_or_else(|| json!(millis.0), Value::String)
}

/// Enough of a hash to tell two apart.
fn short(hash: &SecretHash) -> String {
    let [a, b, c, d, ..] = hash.0;
    format!("{a:02x}{b:02x}{c:02x}{d:02x}…")
}

#[cfg(test)]
mod tests {
    use session_runtime::__private::session::meta::{Meta, Nonces};
    use session_runtime::Session;

    use super::*;

    #[derive(Session)]
    #[session(name = "till")]
    #[cascade(datastore)]
    struct Till {
        visits: u64,
        #[session(secret)]
        token: String,
    }

    fn stored() -> Bytes {
        let meta = Meta {
            created: Millis(0),
            renewed: Millis(0),
            deadline: Millis(0),
            secret: SecretHash([7; 32]),
            previous: None,
            commits: 0,
            nonces: Nonces::default(),
            idle: None,
            persistent: None,
            owner: None,
        };
        let empty = Record::new(Till::SCHEMA, &meta);
        let mut draft = empty.draft();
        draft.set("visits", &[3][..]);
        draft.set("token", &b"dopen"[..]);
        draft.finish().bytes().clone()
    }

    #[test]
    fn a_secret_of_a_known_session_is_not_shown() {
        let shown = record(&stored(), &[Till::SCHEMA]).unwrap();
        assert_eq!(shown["fields"], json!({ "visits": 3, "token": "[secret]" }));
    }

    #[test]
    fn of_an_unknown_session_everything_is_shown() {
        let shown = record(&stored(), &[]).unwrap();
        assert_eq!(shown["fields"], json!({ "visits": 3, "token": "open" }));
    }
}
