//! A record as an entity: its key, properties, size and times.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gcloud_sdk::google::datastore::v1::key::PathElement;
use gcloud_sdk::google::datastore::v1::key::path_element::IdType;
use gcloud_sdk::google::datastore::v1::mutation::{self, ConflictDetectionStrategy, ConflictResolutionStrategy};
use gcloud_sdk::google::datastore::v1::value::ValueType;
use gcloud_sdk::google::datastore::v1::{Entity, EntityResult, Key, Mutation, PartitionId, Value};
use gcloud_sdk::prost_types::Timestamp;

use crate::tier::{Stored, Version};

/// The kind of every entity.
pub(super) const KIND: &str = "Session";
/// The property with the bytes of the record.
pub(super) const VALUE: &str = "Value";
/// The property with the time after which the record may be deleted.
pub(super) const EXPIRES_AT: &str = "ExpiresAt";

/// The largest entity, in bytes (Datastore's quotas and limits, "maximum size for an entity").
const MAX_ENTITY_LEN: usize = 1_048_572;
/// The longest name in a key, in bytes (the same page).
const MAX_KEY_NAME_LEN: usize = 1_500;
/// The longest namespace, in bytes (the same page).
const MAX_NAMESPACE_LEN: usize = 100;

/// The largest value that fits into an entity under any key, by the rules of Datastore's "storage size" page: a string
/// takes its length and 1, a timestamp 8, a key 16 and its strings, an entity 32, a blob its length (1 to spare).
pub(super) const MAX_VALUE_LEN: usize = MAX_ENTITY_LEN
    - 32
    - (16 + (MAX_NAMESPACE_LEN + 1) + (KIND.len() + 1) + (MAX_KEY_NAME_LEN + 1))
    - (EXPIRES_AT.len() + 1 + 8)
    - (VALUE.len() + 1 + 1);

/// The first second of a timestamp, 0001-01-01T00:00:00Z, in seconds since 1970 (protobuf's `google.protobuf.Timestamp`).
const FIRST_SECOND: i64 = -62_135_596_800;
/// The last second of a timestamp, 9999-12-31T23:59:59Z, in seconds since 1970 (the same).
const LAST_SECOND: i64 = 253_402_300_799;

/// Where the entities are stored, and whether their expiry is indexed. `""` is the default database and namespace.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) project: String,
    pub(super) database: String,
    pub(super) namespace: String,
    pub(super) index_expires_at: bool,
}

impl Location {
    pub(super) fn partition(&self) -> PartitionId {
        PartitionId {
            project_id: self.project.clone(),
            database_id: self.database.clone(),
            namespace_id: self.namespace.clone(),
        }
    }

    pub(super) fn key(&self, name: &str) -> Key {
        Key {
            partition_id: Some(self.partition()),
            path: vec![PathElement {
                kind: KIND.to_owned(),
                id_type: Some(IdType::Name(name.to_owned())),
            }],
        }
    }

    fn entity(&self, key: Key, value: &Bytes, expires_at: SystemTime) -> Entity {
        let value = Value {
            value_type: Some(ValueType::BlobValue(value.to_vec())),
            exclude_from_indexes: true,
            ..Value::default()
        };
        let expires_at = Value {
            value_type: Some(ValueType::TimestampValue(timestamp(expires_at))),
            exclude_from_indexes: !self.index_expires_at,
            ..Value::default()
        };
        Entity {
            key: Some(key),
            properties: HashMap::from([(VALUE.to_owned(), value), (EXPIRES_AT.to_owned(), expires_at)]),
        }
    }
}

/// The name in a key, where it has one.
pub(super) fn name_of(key: Key) -> Option<String> {
    match key.path.into_iter().next_back()?.id_type? {
        IdType::Name(name) => Some(name),
        IdType::Id(_) => None,
    }
}

/// A conditional change of one record.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    pub(super) key: &'a str,
    pub(super) operation: Operation,
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Insert(Bytes, SystemTime),
    Update(Version, Bytes, SystemTime),
    Delete(Version),
}

impl Change<'_> {
    pub(super) fn operation_name(&self) -> &'static str {
        match self.operation {
            Operation::Insert(..) => "insert",
            Operation::Update(..) => "update",
            Operation::Delete(..) => "delete",
        }
    }

    pub(super) fn base(&self) -> Option<Version> {
        match self.operation {
            Operation::Insert(..) => None,
            Operation::Update(base, ..) | Operation::Delete(base) => Some(base),
        }
    }

    pub(super) fn value_len(&self) -> usize {
        match &self.operation {
            Operation::Insert(value, _) | Operation::Update(_, value, _) => value.len(),
            Operation::Delete(_) => 0,
        }
    }

    /// The mutation; `None` for a base version that no entity can have.
    pub(super) fn mutation(&self, location: &Location) -> Option<Mutation> {
        let key = location.key(self.key);
        let operation = match &self.operation {
            Operation::Insert(value, expires_at) => {
                mutation::Operation::Insert(location.entity(key, value, *expires_at))
            }
            Operation::Update(_, value, expires_at) => {
                mutation::Operation::Update(location.entity(key, value, *expires_at))
            }
            Operation::Delete(_) => mutation::Operation::Delete(key),
        };
        let base = match self.base() {
            Some(Version(base)) => Some(i64::try_from(base).ok().filter(|base| *base > 0)?),
            None => None,
        };
        // The service accepts a resolution strategy only together with a condition.
        let resolution = match base {
            Some(_) => ConflictResolutionStrategy::Fail,
            None => ConflictResolutionStrategy::StrategyUnspecified,
        };
        Some(Mutation {
            operation: Some(operation),
            conflict_detection_strategy: base.map(ConflictDetectionStrategy::BaseVersion),
            conflict_resolution_strategy: resolution.into(),
            ..Mutation::default()
        })
    }
}

/// An entity that was read.
#[derive(Clone, Debug)]
pub(super) struct FoundEntity {
    pub(super) stored: Stored,
    /// `None` if another program has removed the property or changed its type: such a record never expires.
    pub(super) expires_at: Option<SystemTime>,
}

impl FoundEntity {
    /// `None` for an entity without a `Value` of bytes or without a version.
    pub(super) fn from_result(result: EntityResult) -> Option<Self> {
        let version = version(result.version)?;
        let mut properties = result.entity?.properties;
        let expires_at = properties.get(EXPIRES_AT).and_then(|value| match &value.value_type {
            Some(ValueType::TimestampValue(at)) => Some(time(at)),
            _ => None,
        });
        let Some(ValueType::BlobValue(value)) = properties.remove(VALUE)?.value_type else {
            return None;
        };
        let value = value.into();
        Some(Self {
            stored: Stored { value, version },
            expires_at,
        })
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The version; `None` where it is not positive, which means that the answer is malformed.
pub(super) fn version(version: i64) -> Option<Version> {
    u64::try_from(version).ok().filter(|version| *version > 0).map(Version)
}

/// The time, rounded up to the microseconds that Datastore keeps, so that a TTL policy never deletes early, and clamped
/// to the range of a timestamp.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
        Err(before) => {
            let until = before.duration();
            let seconds = i64::try_from(until.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match until.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds.saturating_sub(1), 1_000_000_000 - nanos),
            }
        }
    };
    let micros = nanos.div_ceil(1_000);
    let (seconds, micros) = match micros {
        1_000_000 => (seconds.saturating_add(1), 0),
        _ => (seconds, micros),
    };
    let (seconds, micros) = match seconds {
        ..FIRST_SECOND => (FIRST_SECOND, 0),
        FIRST_SECOND..=LAST_SECOND => (seconds, micros),
        _ => (LAST_SECOND, 999_999),
    };
    Timestamp {
        seconds,
        nanos: i32::try_from(micros * 1_000).unwrap_or(0),
    }
}

fn time(at: &Timestamp) -> SystemTime {
    let whole = Duration::from_secs(at.seconds.unsigned_abs());
    let second = if at.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    let nanos = Duration::from_nanos(u64::try_from(at.nanos).unwrap_or(0));
    second
        .and_then(|second| second.checked_add(nanos))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    #[test]
    fn times_are_rounded_up_to_microseconds() {
        assert_eq!(
            timestamp(at(1)),
            Timestamp {
                seconds: 0,
                nanos: 1_000
            }
        );
        assert_eq!(timestamp(at(999_999_001)), Timestamp { seconds: 1, nanos: 0 });
        assert_eq!(time(&timestamp(at(7_000))), at(7_000));
    }

    #[test]
    fn times_before_1970_and_after_9999_are_kept_or_clamped() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_millis(250);
        assert_eq!(
            timestamp(early),
            Timestamp {
                seconds: -1,
                nanos: 750_000_000
            }
        );
        assert_eq!(time(&timestamp(early)), early);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(timestamp(late).seconds, LAST_SECOND);
    }
}
