//! While an attribute is being typed, the session and all its accessors exist: one error for each unfinished argument,
//! and none about their uses.
use session_runtime::{Session, TypedSession};

#[derive(Session)]
#[session(vers)]
#[cascade(mem)]
struct Shop {
    #[session(merge = )]
    visits: u64,
    #[session(fla)]
    notices: Vec<String>,
    #[session(flash)]
    messages: Vec<String>,
    #[session(lazy, upgrade(1,))]
    history: Vec<String>,
}

async fn handler(mut shop: TypedSession<Shop>) -> Result<u64, Box<dyn std::error::Error>> {
    let _tiers = Shop::TIERS;
    shop.set_visits(1);
    shop.notices_mut().push(String::new());
    let shown = format!("{:?}", *shop);
    shop.push_messages(shown);
    shop.history_mut()?.clear();
    let Shop { visits, .. } = shop.snapshot()?;
    Ok(visits)
}

fn main() {}
