use std::ops::Range;

use crate::session::record::Record;
use crate::session::schema::{FieldSpec, Schema};

/// Finds fields in a record; fastest if they are asked for in the record's order.
pub struct FieldCursor<'a> {
    pub(super) record: &'a Record,
    /// The position of the field that is probably asked for next.
    next: usize,
    /// Whether a struct of the same version and with the same fields wrote the record.
    pub(super) is_same: bool,
}

impl<'a> FieldCursor<'a> {
    /// A cursor at the first field.
    pub fn new(schema: &Schema, record: &'a Record) -> Self {
        Self {
            record,
            next: 0,
            is_same: record.is_written_by(schema),
        }
    }

    /// Where a field's bytes are in the record, if it is the next field.
    #[inline]
    pub(super) fn find_next(&mut self, spec: &FieldSpec) -> Option<Range<usize>> {
        let range = self.record.value_range_if(self.next, spec.name)?;
        self.next += 1;
        Some(range)
    }

    /// Where a field's bytes are in the record, and whether they are under its current name.
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
