use session_runtime::Session;

#[derive(Session)]
#[serde(rename_all = "camelCase")]
#[cascade(memcache)]
struct Shop {
    #[serde(rename = "count")]
    visits: u64,
    #[serde(skip)]
    note: Option<String>,
}

fn main() {}
