//! What holds, and under which faults.

use super::record::Part::{Add, Create, Destroy, Read, Rotate};
use super::world::Faults;
use super::Setting;

fn strong(parts: &[super::Part], faults: Faults) -> Setting {
    Setting {
        parts: parts.to_vec(),
        faults,
        strong: true,
        ..Setting::default()
    }
}

#[test]
fn two_writers_two_readers() {
    let setting = strong(&[Add, Add, Read(1), Read(2)], Faults::default());
    assert_eq!(setting.explore("2 writers + 2 readers"), Vec::<&str>::new());
}
