//! An upgrade function captured by a macro has the macro's hygiene; the generated code around it still compiles.
use session_runtime::Session;

macro_rules! stepped {
    ($first:path, $second:ident) => {
        #[derive(Session)]
        #[session(version = 3)]
        #[cascade(memcache)]
        struct Stepped {
            #[session(upgrade(1, $first), upgrade(2, $second))]
            visits: u64,
        }
    };
}

fn first(old: u8) -> Result<u32, std::convert::Infallible> {
    Ok(old.into())
}

fn second(old: u32) -> Result<u64, std::convert::Infallible> {
    Ok(old.into())
}

stepped!(self::first, second);

fn main() {
    assert_eq!(Stepped::with_defaults().visits(), &0);
}
