//! A function that merges, by its name alone, and one that has the name of no strategy but nearly, by its path.
use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = keep_both)]
    lines: Vec<u8>,
    #[session(merge = self::sum)]
    visits: u64,
}

fn keep_both(_: &Vec<u8>, mut theirs: Vec<u8>, ours: Vec<u8>) -> Vec<u8> {
    theirs.extend(ours);
    theirs
}

fn sum(base: &u64, theirs: u64, ours: u64) -> u64 {
    (theirs + ours).saturating_sub(*base)
}

fn main() {}
