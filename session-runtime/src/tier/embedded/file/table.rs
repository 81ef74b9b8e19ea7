//! The tables in the file, and how a change is applied to them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redb::{Database, Error, ReadableDatabase, ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};

use crate::tier::{Stored, Version, Write};

/// Key to (version, when it may be purged in nanoseconds since the epoch, value).
const RECORDS: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("session_records");

/// An index of the records by their expiry, written in the same transaction as the record.
const EXPIRY: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("session_expiry");

/// The values of [`FORMAT_KEY`] and [`COUNTER_KEY`].
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("session_meta");
/// The version of the layout.
const FORMAT_KEY: &str = "format";
/// The last version that was given to a record.
const COUNTER_KEY: &str = "counter";

/// The current version of the layout of the tables above.
pub(super) const FORMAT: u64 = 1;

/// A change that the writer can apply.
#[derive(Clone)]
pub(super) enum Change {
    Insert {
        key: String,
        value: Bytes,
        expires_at: SystemTime,
    },
    Update {
        key: String,
        base: Version,
        value: Bytes,
        expires_at: SystemTime,
    },
    Delete {
        key: String,
        base: Version,
    },
    Purge {
        now: SystemTime,
        limit: usize,
    },
}

/// The result of a change.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    pub(super) write: Write,
    /// How many records a purge deleted.
    pub(super) purged: usize,
}

impl Change {
    /// The size of the value that it adds to a transaction, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Insert { value, .. } | Self::Update { value, .. } => value.len(),
            Self::Delete { .. } | Self::Purge { .. } => 0,
        }
    }
}

/// What a database contains.
pub(super) enum Contents {
    SessionStore,
    /// Tables of another program.
    Foreign,
    /// A session store in this format, which is not [`FORMAT`].
    OtherFormat(u64),
}

/// Creates the tables in an empty database; returns what any other one contains, without changing it.
pub(super) fn prepare(database: &Database) -> Result<Contents, Error> {
    let txn = database.begin_write()?;
    let tables: Vec<String> = txn.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.is_empty() && txn.list_multimap_tables()?.next().is_none() {
        txn.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        txn.open_table(RECORDS)?;
        txn.open_table(EXPIRY)?;
        txn.commit()?;
        return Ok(Contents::SessionStore);
    }
    if !tables.iter().any(|name| name == META.name()) {
        return Ok(Contents::Foreign);
    }
    let format = txn.open_table(META)?.get(FORMAT_KEY)?.map(|format| format.value());
    match format {
        Some(FORMAT) => {}
        Some(other) => return Ok(Contents::OtherFormat(other)),
        None => return Ok(Contents::Foreign),
    }
    // Opening a table checks its types.
    txn.open_table(RECORDS)?;
    txn.open_table(EXPIRY)?;
    txn.abort()?;
    Ok(Contents::SessionStore)
}

pub(super) fn read(database: &Database, key: &str) -> Result<Option<Stored>, Error> {
    let txn = database.begin_read()?;
    let records = txn.open_table(RECORDS)?;
    Ok(records.get(key)?.map(|found| {
        let (version, _, value) = found.value();
        Stored {
            value: Bytes::copy_from_slice(value),
            version: Version(version),
        }
    }))
}

/// The committed counter: it shows whether a commit of unknown outcome was applied.
pub(super) fn counter(database: &Database) -> Result<u64, Error> {
    let txn = database.begin_read()?;
    let counter = txn.open_table(META)?.get(COUNTER_KEY)?.map(|counter| counter.value());
    Ok(counter.unwrap_or(0))
}

/// The changes of one transaction.
pub(super) struct Changes {
    txn: WriteTransaction,
    outcomes: Vec<Outcome>,
    before: u64,
    after: u64,
}

impl Changes {
    /// Applies `changes` one after the other, each seeing what the ones before it did. Nothing is committed yet.
    pub(super) fn apply<'c>(database: &Database, changes: impl Iterator<Item = &'c Change>) -> Result<Self, Error> {
        let txn = database.begin_write()?;
        let mut outcomes = Vec::new();
        let (before, after);
        {
            let mut meta = txn.open_table(META)?;
            let mut tables = Tables {
                records: txn.open_table(RECORDS)?,
                expiry: txn.open_table(EXPIRY)?,
                counter: meta.get(COUNTER_KEY)?.map_or(0, |counter| counter.value()),
            };
            before = tables.counter;
            for change in changes {
                outcomes.push(tables.apply(change)?);
            }
            after = tables.counter;
            drop(tables);
            if after != before {
                meta.insert(COUNTER_KEY, after)?;
            }
        }
        Ok(Self {
            txn,
            outcomes,
            before,
            after,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// The counter in the file once this is committed.
    pub(super) fn counter(&self) -> u64 {
        self.after
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.clone()
    }

    /// Ends the transaction without a change.
    pub(super) fn abort(self) -> Result<(), Error> {
        Ok(self.txn.abort()?)
    }

    /// Returns when the changes are on the disk.
    pub(super) fn commit(self) -> Result<(), Error> {
        // The default durability of a transaction is `Immediate`.
        Ok(self.txn.commit()?)
    }
}

struct Tables<'txn> {
    records: Table<'txn, &'static str, (u64, u64, &'static [u8])>,
    expiry: Table<'txn, (u64, &'static str), ()>,
    /// The last version that was given. One counter for the file rather than one for each key, so that the version of a
    /// record that is deleted and created again is greater than before.
    counter: u64,
}

impl Tables<'_> {
    fn apply(&mut self, change: &Change) -> Result<Outcome, Error> {
        let mut purged = 0;
        let write = match change {
            Change::Insert { key, value, expires_at } => match self.current(key)? {
                Some(_) => Write::Conflict,
                None => self.store(key, None, value, *expires_at)?,
            },
            Change::Update {
                key,
                base,
                value,
                expires_at,
            } => match self.current(key)? {
                Some(found) if found.version == base.0 => self.store(key, Some(found), value, *expires_at)?,
                Some(_) => Write::Conflict,
                None => Write::Missing,
            },
            Change::Delete { key, base } => match self.current(key)? {
                Some(found) if found.version == base.0 => self.delete(key, &found)?,
                Some(_) => Write::Conflict,
                None => Write::Missing,
            },
            Change::Purge { now, limit } => {
                purged = self.purge(*now, *limit)?;
                Write::Missing
            }
        };
        Ok(Outcome { write, purged })
    }

    fn current(&self, key: &str) -> Result<Option<Current>, Error> {
        Ok(self.records.get(key)?.map(|found| {
            let (version, expires_at, _) = found.value();
            Current { version, expires_at }
        }))
    }

    fn next_version(&mut self) -> Version {
        self.counter = self.counter.saturating_add(1);
        Version(self.counter)
    }

    fn store(&mut self, key: &str, old: Option<Current>, value: &[u8], at: SystemTime) -> Result<Write, Error> {
        let (version, expires_at) = (self.next_version(), purged_after(at));
        self.records.insert(key, (version.0, expires_at, value))?;
        let old = old.map(|old| old.expires_at);
        if old != Some(expires_at) {
            if let Some(old) = old {
                self.expiry.remove((old, key))?;
            }
            self.expiry.insert((expires_at, key), ())?;
        }
        Ok(Write::Done(version))
    }

    /// A deletion takes a version too, so that the counter shows whether its commit was applied.
    fn delete(&mut self, key: &str, found: &Current) -> Result<Write, Error> {
        self.records.remove(key)?;
        self.expiry.remove((found.expires_at, key))?;
        Ok(Write::Done(self.next_version()))
    }

    fn purge(&mut self, now: SystemTime, limit: usize) -> Result<usize, Error> {
        let now = nanos(now);
        let mut expired = Vec::new();
        for entry in self.expiry.range((0, "")..)?.take(limit) {
            let (entry, _) = entry?;
            let (expires_at, key) = entry.value();
            // An expiry has passed only when the clock is past it; `NEVER` does not pass.
            if expires_at >= now || expires_at == NEVER {
                break;
            }
            expired.push((expires_at, key.to_owned()));
        }
        let mut purged = 0;
        for (expires_at, key) in &expired {
            self.expiry.remove((*expires_at, key.as_str()))?;
            // The index and the record agree, since they are written together; if they did not, the record would decide.
            if self.current(key)?.is_some_and(|found| found.expires_at == *expires_at) {
                self.records.remove(key.as_str())?;
                purged += 1;
            }
            self.next_version();
        }
        Ok(purged)
    }
}

struct Current {
    version: u64,
    expires_at: u64,
}

/// An expiry after the year 2554, which a `u64` of nanoseconds cannot represent: such a record is never purged.
const NEVER: u64 = u64::MAX;

/// Expiries are rounded up to a multiple of this, in nanoseconds, so that most writes of a session that is in use leave the
/// index as it is. Records are purged later by so much at most.
const EXPIRY_STEP: u64 = 60_000_000_000;

fn purged_after(expires_at: SystemTime) -> u64 {
    nanos(expires_at).checked_next_multiple_of(EXPIRY_STEP).unwrap_or(NEVER)
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(NEVER)
}
