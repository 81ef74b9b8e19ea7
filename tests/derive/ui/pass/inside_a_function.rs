fn main() {
    use session_runtime::Session;

    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Line(u8);

    const START: u64 = 5;

    #[derive(Session)]
    #[cascade(memcache)]
    struct Shop {
        lines: Vec<Line>,
        #[session(default = START)]
        visits: u64,
    }

    let mut shop = Shop::with_defaults();
    shop.lines_mut().push(Line(1));
    assert_eq!(*shop.visits(), START);
    assert_eq!(shop.snapshot().lines.len(), 1);
}
