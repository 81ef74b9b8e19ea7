//! What a store promises for each set of tiers, one function a rule.

mod cluster;
mod cost;
mod counting;
mod life;
mod loss;
mod nodes;
mod sample;

use std::sync::Arc;

use self::cluster::Cluster;
use self::sample::{
    InAll, InDatastore, InMemcache, InMemcacheDatastore, InRequest, InRequestDatastore, InRequestMemcache, Sample,
};
use super::probe::check;
use super::{Options, Violation};
use crate::tier::{CacheTier, DurableTier, Tiers};

/// Checks what a [`CascadeStore`](crate::CascadeStore) on these two tiers promises, for a session in each of the seven
/// sets of tiers; the first rule that is failure is the error.
///
/// It assumes that [`cache_tier`](super::cache_tier) and [`durable_tier`](super::durable_tier) pass. Each rule has two
/// stores on the same tiers, as two nodes of a service would, with random keys. The stores measure deadlines with a
/// clock of the suite's own that begins at the machine's time; what a rule leaves behind expires within an hour or two.
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
        // On the heap, or all rules together would be more than a stack takes.
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
        "a session of the request's memory alone never leaves it" => cost::nothing_leaves_the_request;
    }
    Ok(())
}

async fn of_set<S: Sample, C: CacheTier, D: DurableTier>(
    cache: &Arc<C>,
    durable: &Arc<D>,
    options: &Options,
) -> Result<(), Violation> {
    rules! { S, cache, durable, options;
        "a session that was never created is none" => life::unknown_is_none;
        "a session that was created is found by every node, as it was left" => life::created_is_found;
        "a committed change is seen by every node at once" => nodes::writes_are_seen_at_once;
        "two nodes that change a session both have their changes in it" => nodes::changes_merge;
        "a destroyed session is gone for every node, and stays so" => life::destroyed_stays_dead;
        "a rotated secret is honoured for its grace, and no longer" => life::rotation_has_a_grace;
        "a secret that a privileged write has replaced ends at once" => life::privileged_rotation_has_none;
        "a session ends when it was not used for its idle time" => life::idle_sessions_end;
        "a session that is used lives on, to its greatest age and no further" => life::used_sessions_live_on;
        "a session that would grow too large stays as it was" => life::too_large_changes_nothing;
        "of additions that race, every one is counted" => nodes::additions_are_all_counted;
        "a reader never sees less than was acknowledged, nor goes back in time" => nodes::readers_never_go_back;
        "a destroy wins over the commits that race with it" => nodes::destroy_wins;
        "a request that is dropped half-way does no harm" => nodes::dropped_requests_do_no_harm;
        "a session that was not changed is not written" => cost::clean_sessions_are_not_written;
        "a tier that the session does not name is never asked" => cost::other_tiers_are_not_asked;
        "an outage of the authority is an error, never an empty session" => loss::an_outage_is_no_logout;
    }
    if cluster::has::<S>(Tiers::MEMCACHE) {
        rules! { S, cache, durable, options;
            "what another has put into the cache is never served" => loss::foreign_items_are_not_served;
        }
    }
    if cluster::has::<S>(Tiers::DATASTORE) {
        rules! { S, cache, durable, options;
            "a cache that forgets loses nothing" => loss::eviction_loses_nothing;
            "a write costs one call of the durable tier" => cost::a_write_is_one_durable_call;
        }
    } else {
        rules! { S, cache, durable, options;
            "a session that the cache has forgotten is a new one" => loss::eviction_is_a_new_session;
        }
    }
    if cluster::has::<S>(Tiers::DISTRIBUTED) {
        rules! { S, cache, durable, options;
            "a read that hits costs one call of the cache and none of the durable tier" => cost::a_hit_is_one_cache_call;
            "a cached value is not believed beyond its greatest age" => cost::stale_values_are_not_believed;
            "without its cache, a session is read and written all the same" => loss::the_cache_can_be_down;
            "while the durable tier is down, what is cached is served" => loss::hits_survive_the_durable_tier;
        }
    }
    Ok(())
}
