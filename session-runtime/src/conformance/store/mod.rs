//! The rules of [`CascadeStore`](crate::CascadeStore) for each set of tiers, one function each.

mod cluster;
mod cost;
mod counting;
mod life;
mod loss;
mod nodes;
mod owners;
mod sample;

use std::sync::Arc;

use self::cluster::Cluster;
use self::sample::{
    InAll, InDatastore, InMemcache, InMemcacheDatastore, InRequest, InRequestDatastore, InRequestMemcache, OwnedSample,
    Sample,
};
use super::probe::check;
use super::{Options, Violation};
use crate::tier::{CacheTier, DurableTier, Tiers};

/// Checks every rule of a [`CascadeStore`](crate::CascadeStore) on these two tiers, for a session in each of the seven
/// sets of tiers. The error is the first rule that is broken.
///
/// It assumes that [`cache_tier`](super::cache_tier) and [`durable_tier`](super::durable_tier) pass. Each rule uses two
/// stores on the same tiers, as two nodes of a service do, with random keys. Their clock belongs to the suite, and starts
/// at the system's time. Records that are left behind expire within two hours.
pub async fn store<C: CacheTier, D: DurableTier>(
    cache: &Arc<C>,
    durable: &Arc<D>,
    options: &Options,
) -> Result<(), Violation> {
    Box::pin(of_request(cache, durable, options)).await?;
    Box::pin(of_set::<InMemcache, C, D>(cache, durable, options)).await?;
    Box::pin(of_set::<InDatastore, C, D>(cache, durable, options)).await?;
    Box::pin(of_set::<InRequestMemcache, C, D>(cache, durable, options)).await?;
    Box::pin(of_set::<InRequestDatastore, C, D>(cache, durable, options)).await?;
    Box::pin(of_set::<InMemcacheDatastore, C, D>(cache, durable, options)).await?;
    Box::pin(of_set::<InAll, C, D>(cache, durable, options)).await
}

/// Checks rules, each with nodes of its own.
macro_rules! rules {
    ($session:ty, $cache:expr, $durable:expr, $options:expr; $($rule:literal => $part:ident::$check:ident;)*) => { $(
        // Boxed, since the futures of all rules together overflow the stack.
        let checked = Box::pin(async {
            let cluster = Cluster::open($cache, $durable, $options).await?;
            let outcome = $part::$check::<$session>(&cluster).await;
            cluster.end().await;
            outcome
        });
        check(&name::<$session>($cache.name(), $durable.name()), $options, $rule, checked).await?;
    )* };
}

/// `memcache | datastore on local-cache and local-file`.
fn name<S: Sample>(cache: &str, durable: &str) -> String {
    let set: Vec<String> = S::TIERS.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    format!("{} on {cache} and {durable}", set.join(" | "))
}

async fn of_request<C: CacheTier, D: DurableTier>(
    cache: &Arc<C>,
    durable: &Arc<D>,
    options: &Options,
) -> Result<(), Violation> {
    rules! { InRequest, cache, durable, options;
        "a session in the `request` tier alone is never stored in another tier" => cost::nothing_leaves_the_request;
    }
    Ok(())
}

async fn of_set<S: OwnedSample, C: CacheTier, D: DurableTier>(
    cache: &Arc<C>,
    durable: &Arc<D>,
    options: &Options,
) -> Result<(), Violation> {
    rules! { S, cache, durable, options;
        "a session that was never created is not found" => life::unknown_is_none;
        "a created session is found by every node, with its values" => life::created_is_found;
        "a committed change is visible to every node at once" => nodes::writes_are_seen_at_once;
        "concurrent changes from several nodes are merged field by field" => nodes::changes_merge;
        "a destroyed session is gone for every node, and stays gone" => life::destroyed_stays_destroyed;
        "a rotated secret is accepted until its grace period ends, and no longer" => life::rotation_has_a_grace;
        "a secret that a privileged write has replaced is rejected at once" => life::privileged_rotation_has_no_grace;
        "a session expires when it is not used for its idle time" => life::idle_sessions_expire;
        "a session that is used is renewed until its maximum age, and no longer" => life::used_sessions_are_renewed;
        "a commit that would make a session too large fails, and changes nothing" => life::too_large_changes_nothing;
        "of concurrent additions, every one is counted" => nodes::additions_are_all_counted;
        "a reader never sees less than was acknowledged, nor less than it saw before" => nodes::readers_never_go_back;
        "a destroy wins over concurrent commits" => nodes::destroy_wins;
        "a cancelled request loses no commit that has begun, and does not affect later requests" => nodes::cancelled_requests_do_no_harm;
        "the sessions of an owner are listed on every node" => owners::sign_ins_are_listed;
        "after all sessions of an owner have ended, none of them is found on any node" => owners::ended_sessions_stay_ended;
        "one of an owner's sessions ends, and the others stay" => owners::one_session_ends;
        "an owner has no more sessions than it may have" => owners::the_limit_holds;
        "no sign-in escapes the end of all sessions of its owner" => owners::no_sign_in_escapes_an_end;
        "an unchanged session is not written" => cost::clean_sessions_are_not_written;
        "a tier that the session does not name is never called" => cost::other_tiers_are_not_called;
        "an outage of the authoritative tier is an error, never an empty session" => loss::an_outage_is_no_logout;
    }
    if cluster::has::<S>(Tiers::MEMCACHE) {
        rules! { S, cache, durable, options;
            "a cached item that the store did not write under that key is never served" => loss::foreign_items_are_not_served;
        }
    }
    if cluster::has::<S>(Tiers::DATASTORE) {
        rules! { S, cache, durable, options;
            "an eviction from the cache loses no session and no change" => loss::eviction_loses_nothing;
            "a commit makes one call to the durable tier" => cost::a_write_is_one_durable_call;
        }
    } else {
        rules! { S, cache, durable, options;
            "a cache-only session that was evicted is gone, and a late commit does not restore it" => loss::eviction_is_a_new_session;
        }
    }
    if cluster::has::<S>(Tiers::DISTRIBUTED) {
        rules! { S, cache, durable, options;
            "a load that hits makes one call to the cache and none to the durable tier" => cost::a_hit_is_one_cache_call;
            "a cached record older than the maximum staleness is read again from the durable tier" => cost::stale_values_are_not_used;
            "while the cache is down, sessions are read and written in the durable tier" => loss::the_cache_can_be_down;
            "while the durable tier is down, cached sessions are served" => loss::hits_survive_an_outage_of_the_durable_tier;
        }
    }
    Ok(())
}
