use std::ops::Range;

use crate::session::record::Record;
use crate::session::schema::{FieldSpec, Schema};

/// A record whose fields are opened one after the other, best in the order in which it has them.
pub struct FieldCursor<'a> {
    pub(super) record: &'a Record,
    /// Which of the record's fields probably comes next.
    next: usize,
    /// Whether a struct just like the present one wrote the record.
    pub(super) is_same: bool,
}

impl<'a> FieldCursor<'a> {
    /// Before the first field.
    pub fn new(schema: &Schema, record: &'a Record) -> Self {
        Self {
            record,
            next: 0,
            is_same: record.is_written_by(schema),
        }
    }

    /// Where in the record a field's bytes are, if they come next.
    #[inline]
    pub(super) fn find_next(&mut self, spec: &FieldSpec) -> Option<Range<usize>> {
        let place = self.record.value_range_if(self.next, spec.name)?;
        self.next += 1;
        Some(place)
    }

    /// Where in the record a field's bytes are, and whether they are under its present name.
    pub(super) fn find(&mut self, spec: &FieldSpec) -> Option<(Range<usize>, bool)> {
        match self.record.position(spec.name, self.next) {
            Ok(at) => {
                self.next = at + 1;
                Some((self.record.value_range(at)?, true))
            }
            Err(at) => {
                self.next = at;
                let earlier = spec.was.iter().find_map(|name| self.record.position(name, 0).ok())?;
                Some((self.record.value_range(earlier)?, false))
            }
        }
    }
}
