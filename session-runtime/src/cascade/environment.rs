//! Builders of a store from environment variables, and of an embedded store.

use std::path::{Path, PathBuf};

use super::build_error::BuildError;
use super::builder::Builder;
use super::store::{CascadeStore, WithDatastore, WithMemcache};
use crate::keys::{KeyError, KeyRing};

const KEYS: &str = "SESSION_KEYS";
const MEMCACHE: &str = "MEMCACHE_SERVERS";
/// Either means that Valkey is to be used. Errors name the first that is set.
const VALKEY: &str = "VALKEY_URL";
/// Means that only if there is no [`STORE_PATH`]: the application's own server is often named so.
const REDIS: &str = "REDIS_URL";
const STORE_PATH: &str = "SESSION_STORE_PATH";
/// Any of these means that Datastore is to be used. Errors name the first that is set.
const DATASTORE: [&str; 2] = ["DATASTORE_EMULATOR_HOST", "DATASTORE_PROJECT_ID"];
/// Means that Postgres is to be used, if it is a URL of that, and there is no [`STORE_PATH`]: the application's own database
/// is often named so.
const POSTGRES: &str = "DATABASE_URL";
/// Means Datastore too, behind all others, since whole machines have it set.
const GOOGLE_PROJECT: &str = "GOOGLE_CLOUD_PROJECT";
/// Says that no other process serves these sessions.
const SINGLE_PROCESS: &str = "SESSION_SINGLE_PROCESS";
/// Says that what is stored is to be encrypted.
const SEAL: &str = "SESSION_SEAL";
/// The file of an embedded store where `SESSION_STORE_PATH` is not set.
const DEFAULT_PATH: &str = "sessions.redb";

type FullBuilder = Builder<WithMemcache, WithDatastore>;

impl CascadeStore {
    /// Builds a store from environment variables; see [`Builder::from_env`].
    pub async fn from_env() -> Result<Self, BuildError> {
        Builder::from_env().await?.build().await
    }

    /// Builds a store that needs no server: a cache in this process, and a durable file at `path`.
    #[cfg(feature = "embedded")]
    pub async fn embedded(path: impl AsRef<Path>, keys: KeyRing) -> Result<Self, BuildError> {
        Builder::embedded(path, keys).await?.build().await
    }
}

impl Builder {
    /// A builder of an [embedded store](CascadeStore::embedded), for more options.
    #[cfg(feature = "embedded")]
    pub async fn embedded(path: impl AsRef<Path>, keys: KeyRing) -> Result<FullBuilder, BuildError> {
        local_file(
            CascadeStore::builder(keys).memcache(crate::tier::embedded::LocalCache::new()),
            path.as_ref(),
        )
        .await
    }

    /// A builder of a store from environment variables. A tier without an address is embedded, but for the cache over
    /// Datastore or Postgres: it would not see what other processes write, so there is [none](Self::without_cache).
    ///
    /// | variable | value |
    /// |---|---|
    /// | `SESSION_KEYS` | base64 keys of 32 bytes or more, newest first, separated by commas |
    /// | `MEMCACHE_SERVERS` | `host:port`, separated by commas |
    /// | `VALKEY_URL`, `REDIS_URL` | `redis://user:password@host:port` of a Valkey or Redis, in place of memcached; `rediss://` for TLS |
    /// | `DATASTORE_EMULATOR_HOST`, `DATASTORE_PROJECT_ID` | the emulator or the project of Datastore |
    /// | `DATABASE_URL` | `postgres://user:password@host/database`; the table is made where there is none. Any other URL is not for sessions |
    /// | `GOOGLE_CLOUD_PROJECT` | the project of Datastore |
    /// | `SESSION_STORE_PATH` | the file of an embedded store (default: `sessions.redb`); with it, `DATABASE_URL` and `REDIS_URL` are left to the application |
    /// | `SESSION_SEAL` | 1 to [encrypt](Self::seal) what is stored (the feature `seal`) |
    /// | `SESSION_SINGLE_PROCESS` | 1 where [no other process](Self::single_process) serves these sessions: memcached or Valkey over a file, or a cache in this process over Datastore or Postgres |
    ///
    /// Of several durable tiers that are named, the first in this table is used.
    ///
    /// Where both tiers are embedded and `SESSION_KEYS` is not set, a key is generated in a file beside the store's, with
    /// mode 0600, and that is logged. With any other tier, missing keys are an error.
    ///
    /// ```
    /// # async fn build() -> Result<(), session_runtime::BuildError> {
    /// use session_runtime::Builder;
    ///
    /// let store = Builder::from_env().await?.max_len(16 << 10).build().await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_env() -> Result<FullBuilder, BuildError> {
        let path = PathBuf::from(variable(STORE_PATH).unwrap_or_else(|| DEFAULT_PATH.to_owned()));
        let (cache, address) = (cache_address()?, durable_address());
        let is_single_process = flag(SINGLE_PROCESS)?;
        // Before the keys, which it asks for too, and before a file is made that nobody wants.
        if let (Some(cache), None, false) = (cache, address, is_single_process) {
            return Err(BuildError::SharedCacheOverLocal {
                cache: if cache == MEMCACHE { "memcache" } else { "valkey" },
                durable: "local-file",
            });
        }
        let mut builder = CascadeStore::builder(keys(&path, cache.or(address))?);
        if is_single_process {
            builder = builder.single_process();
        }
        if flag(SEAL)? {
            builder = sealing(builder)?;
        }
        let builder = match (cache, address) {
            (Some(MEMCACHE), _) => memcache(builder)?,
            (Some(cache), _) => valkey(builder, cache)?,
            (None, Some(address)) if !is_single_process => {
                tracing::info!(
                    "{address} is set, and {MEMCACHE} and {VALKEY} are not: sessions are read from the durable tier, without a \
                     cache"
                );
                builder.without_cache()
            }
            (None, _) => local_cache(builder)?,
        };
        match address {
            Some(POSTGRES) => postgres(builder).await,
            Some(address) => datastore(builder, address).await,
            None => local_file(builder, &path).await,
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn flag(name: &'static str) -> Result<bool, BuildError> {
    match variable(name).as_deref().map(str::trim) {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(value) => Err(BuildError::Option {
            option: name,
            value: value.to_owned(),
            remedy: "it must be 0 or 1",
        }),
    }
}

#[cfg(feature = "seal")]
#[expect(clippy::unnecessary_wraps, reason = "its twin without the feature fails")]
fn sealing(builder: Builder) -> Result<Builder, BuildError> {
    Ok(builder.seal())
}

#[cfg(not(feature = "seal"))]
fn sealing(_: Builder) -> Result<Builder, BuildError> {
    Err(BuildError::NotCompiledIn {
        address: SEAL,
        feature: "seal",
    })
}

/// The variable that names the cache which processes share.
fn cache_address() -> Result<Option<&'static str>, BuildError> {
    let is_set = |name: &&str| variable(name).is_some();
    let redis = Some(REDIS).filter(|_| variable(STORE_PATH).is_none());
    let valkey = Some(VALKEY).filter(is_set).or_else(|| redis.filter(is_set));
    match (Some(MEMCACHE).filter(is_set), valkey) {
        (Some(first), Some(second)) => Err(BuildError::TwoCaches { first, second }),
        (memcache, valkey) => Ok(memcache.or(valkey)),
    }
}

/// The variable that names the durable tier which processes share.
fn durable_address() -> Option<&'static str> {
    let is_set = |name: &&str| variable(name).is_some();
    let datastore = DATASTORE.into_iter().find(is_set);
    datastore
        .or_else(|| is_postgres_named().then_some(POSTGRES))
        .or_else(|| Some(GOOGLE_PROJECT).filter(is_set))
}

fn is_postgres_named() -> bool {
    let is_postgres = |url: String| url.starts_with("postgres://") || url.starts_with("postgresql://");
    variable(POSTGRES).is_some_and(is_postgres) && variable(STORE_PATH).is_none()
}

/// `shared` is the variable that names a tier which processes share.
fn keys(path: &Path, shared: Option<&'static str>) -> Result<KeyRing, BuildError> {
    match (KeyRing::from_env(KEYS), shared) {
        (Ok(keys), _) => Ok(keys),
        (Err(KeyError::Unset(_)), Some(address)) => Err(BuildError::SharedWithoutKeys { address }),
        (Err(KeyError::Unset(_)), None) => load_or_create_key(path),
        (Err(error), _) => Err(error.into()),
    }
}

/// The key in the file beside the store's, generated if there is none.
fn load_or_create_key(store: &Path) -> Result<KeyRing, BuildError> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let mut path = store.as_os_str().to_owned();
    path.push(".key");
    let path = PathBuf::from(path);
    let failed = |source| BuildError::KeyFile {
        path: path.display().to_string(),
        source,
    };
    if !path.try_exists().map_err(failed)? {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(KeyError::Random)?;
        write_new(&path, STANDARD.encode(key).as_bytes()).map_err(failed)?;
        tracing::info!(path = %path.display(), "SESSION_KEYS is not set: a key was generated, keep it with the store");
    }
    // Read it even if it was just generated: of two processes that start at once, the first one's file is used.
    let keys = std::fs::read_to_string(&path).map_err(failed)?;
    KeyRing::from_base64(&keys).map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

/// Writes a file that only its owner may read, atomically, and never over another: with a truncated key the next start
/// fails, and with a replaced key the sessions are lost.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;

    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", fastrand::u64(..)));
    let draft = PathBuf::from(draft);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&draft)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        // Unlike a rename, it fails if another process was first.
        .and_then(|()| std::fs::hard_link(&draft, path));
    // It may not exist, and is not needed any more.
    let _ = std::fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.and_then(|()| sync_parent(path)),
    }
}

/// Syncs the directory, so that the name of a new file survives a crash.
#[cfg(unix)]
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "its twin fails")]
fn sync_parent(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(any(
    feature = "memcache",
    feature = "embedded",
    feature = "datastore",
    feature = "postgres",
    feature = "valkey"
))]
fn tier_error(tier: &'static str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> BuildError {
    move |source| BuildError::Tier { tier, source }
}

#[cfg(feature = "memcache")]
fn memcache(builder: Builder) -> Result<Builder<WithMemcache>, BuildError> {
    let tier = crate::tier::memcache::Memcache::from_env().map_err(|error| tier_error("memcache")(error.into()))?;
    Ok(builder.memcache(tier))
}

#[cfg(not(feature = "memcache"))]
fn memcache(_: Builder) -> Result<Builder<WithMemcache>, BuildError> {
    Err(BuildError::NotCompiledIn {
        address: MEMCACHE,
        feature: "memcache",
    })
}

#[cfg(feature = "valkey")]
fn valkey(builder: Builder, address: &'static str) -> Result<Builder<WithMemcache>, BuildError> {
    let url = variable(address).unwrap_or_default();
    let tier = crate::tier::valkey::Valkey::connect(url).map_err(|error| tier_error("valkey")(error.into()))?;
    Ok(builder.memcache(tier))
}

#[cfg(not(feature = "valkey"))]
fn valkey(_: Builder, address: &'static str) -> Result<Builder<WithMemcache>, BuildError> {
    Err(BuildError::NotCompiledIn {
        address,
        feature: "valkey",
    })
}

#[cfg(feature = "embedded")]
#[expect(clippy::unnecessary_wraps, reason = "its twin without the feature fails")]
fn local_cache(builder: Builder) -> Result<Builder<WithMemcache>, BuildError> {
    Ok(builder.memcache(crate::tier::embedded::LocalCache::new()))
}

#[cfg(not(feature = "embedded"))]
fn local_cache(_: Builder) -> Result<Builder<WithMemcache>, BuildError> {
    Err(BuildError::NoTier { address: MEMCACHE })
}

#[cfg(feature = "datastore")]
async fn datastore(builder: Builder<WithMemcache>, _: &'static str) -> Result<FullBuilder, BuildError> {
    let tier = crate::tier::datastore::Datastore::from_env().await;
    Ok(builder.datastore(tier.map_err(|error| tier_error("datastore")(error.into()))?))
}

#[cfg(not(feature = "datastore"))]
#[expect(clippy::unused_async, reason = "its twin with the feature waits")]
async fn datastore(_: Builder<WithMemcache>, address: &'static str) -> Result<FullBuilder, BuildError> {
    Err(BuildError::NotCompiledIn {
        address,
        feature: "datastore",
    })
}

#[cfg(feature = "postgres")]
async fn postgres(builder: Builder<WithMemcache>) -> Result<FullBuilder, BuildError> {
    let tier = crate::tier::postgres::Postgres::from_env().await;
    Ok(builder.datastore(tier.map_err(|error| tier_error("postgres")(error.into()))?))
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "its twin with the feature waits")]
async fn postgres(_: Builder<WithMemcache>) -> Result<FullBuilder, BuildError> {
    Err(BuildError::NotCompiledIn {
        address: POSTGRES,
        feature: "postgres",
    })
}

#[cfg(feature = "embedded")]
async fn local_file(builder: Builder<WithMemcache>, path: &Path) -> Result<FullBuilder, BuildError> {
    let path = path.to_owned();
    // Opening a file that was not closed properly checks it, which may take long.
    let opened = tokio::task::spawn_blocking(move || crate::tier::embedded::LocalFile::open(path)).await;
    let failed = tier_error("datastore");
    let tier = opened
        .map_err(|error| failed(error.into()))?
        .map_err(|error| failed(error.into()))?;
    Ok(builder.datastore(tier))
}

#[cfg(not(feature = "embedded"))]
#[expect(clippy::unused_async, reason = "its twin with the feature waits")]
async fn local_file(_: Builder<WithMemcache>, _: &Path) -> Result<FullBuilder, BuildError> {
    Err(BuildError::NoTier { address: DATASTORE[0] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_generated_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s.redb");
        let signed = |keys: KeyRing| keys.sign(crate::keys::Use::Token, &[b"x"]);
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                std::thread::spawn(move || load_or_create_key(&store).unwrap())
            })
            .collect();
        let mut rings = starts.into_iter().map(|start| signed(start.join().unwrap()));
        let first = rings.next().unwrap();
        assert!(
            rings.all(|ring| ring == first),
            "processes that start at once have the same key"
        );
        assert_eq!(signed(load_or_create_key(&store).unwrap()), first);
        let files: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(files, ["s.redb.key"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join("s.redb.key"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn an_error_names_an_invalid_key_file_which_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.redb.key");
        std::fs::write(&file, "too short").unwrap();
        let error = load_or_create_key(&dir.path().join("s.redb")).unwrap_err();
        assert!(error.to_string().contains("s.redb.key"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "too short");
    }
}
