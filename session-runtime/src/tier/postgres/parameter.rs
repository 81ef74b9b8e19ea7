//! What a statement is given.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// One parameter.
pub(super) enum Parameter {
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Bytes),
    /// `bigint`.
    Integer(i64),
    /// `timestamptz`.
    Time(SystemTime),
}

/// The client library logs the parameters of each statement at level debug, and a key or a record is in no log.
impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.as_ref().to_sql(ty, out),
            Self::Integer(integer) => integer.to_sql(ty, out),
            Self::Time(time) => {
                out.put_i64(micros_since_2000(*time));
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::TEXT, Type::BYTEA, Type::INT8, Type::TIMESTAMPTZ].contains(ty)
    }

    to_sql_checked!();
}

/// 2000-01-01T00:00:00Z, in seconds since 1970: from there on Postgres counts (`POSTGRES_EPOCH_JDATE`).
const EPOCH: Duration = Duration::from_secs(946_684_800);
/// 9999-12-31T23:59:59.999999Z, in microseconds since 2000. Postgres can store later times, which few programs can
/// read.
const LAST: i64 = 252_455_615_999_999_999;
/// 0001-01-01T00:00:00Z, likewise.
const FIRST: i64 = -63_082_281_600_000_000;

/// The time as Postgres has it, rounded up to microseconds, so that a record is never purged early, and clamped to the
/// years from 1 to 9999.
fn micros_since_2000(time: SystemTime) -> i64 {
    let epoch = SystemTime::UNIX_EPOCH + EPOCH;
    let micros = match time.duration_since(epoch) {
        Ok(since) => i64::try_from(since.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos() / 1_000).map_or(i64::MIN, |micros| -micros),
    };
    micros.clamp(FIRST, LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_microseconds_and_clamped() {
        let epoch = SystemTime::UNIX_EPOCH + EPOCH;
        for (time, micros) in [
            (epoch, 0),
            (epoch + Duration::from_nanos(1), 1),
            (epoch + Duration::from_nanos(1_001), 2),
            (epoch - Duration::from_nanos(1), 0),
            (epoch - Duration::from_nanos(1_001), -1),
            (SystemTime::UNIX_EPOCH, -946_684_800_000_000),
            (SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40), LAST),
            (SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40), FIRST),
        ] {
            assert_eq!(micros_since_2000(time), micros, "{time:?}");
        }
    }

    #[test]
    fn no_parameter_is_shown() {
        let parameters = [
            Parameter::Text("key".to_owned()),
            Parameter::Bytes(Bytes::from_static(b"value")),
        ];
        assert_eq!(format!("{parameters:?}"), "[_, _]");
    }
}
