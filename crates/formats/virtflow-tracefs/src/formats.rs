//! The descriptions of all events of a machine, found by number.

use crate::format::{EventFormat, Field};
use crate::order::ByteOrder;

const NONE: u32 = u32::MAX;

/// The descriptions of all events that a recording may hold.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    formats: Vec<EventFormat>,
    /// By the event's number: its place in `formats`.
    by_id: Vec<u32>,
    /// Where a record's number lies, and how long it is.
    type_at: (usize, usize),
}

impl Formats {
    /// Adds a description. Of several with the same number the first stays: `false` is said of the
    /// others.
    pub fn push(&mut self, format: EventFormat) -> bool {
        let id = usize::from(format.id());
        if self.by_id.len() <= id {
            self.by_id.resize(id + 1, NONE);
        }
        let Some(entry) = self.by_id.get_mut(id).filter(|entry| **entry == NONE) else {
            return false;
        };
        let Ok(place) = u32::try_from(self.formats.len()) else {
            return false;
        };
        *entry = place;
        if self.formats.is_empty()
            && let Some(number) = format.field("common_type")
        {
            self.type_at = place_of(number);
        }
        self.formats.push(format);
        true
    }

    /// All of them, in the order they were added.
    pub fn all(&self) -> &[EventFormat] {
        &self.formats
    }

    /// The place in [`Self::all`] of the description of `record`.
    #[inline]
    pub fn of(&self, record: &[u8], order: ByteOrder) -> Option<usize> {
        self.place_of(self.id_of(record, order)?)
    }

    /// The description with this number.
    pub fn of_id(&self, id: u64) -> Option<&EventFormat> {
        self.formats.get(self.place_of(id)?)
    }

    #[inline]
    fn place_of(&self, id: u64) -> Option<usize> {
        let place = *self.by_id.get(usize::try_from(id).ok()?)?;
        (place != NONE).then_some(place as usize)
    }

    /// The number that `record` begins with; `None` where it is too short to have one.
    #[inline]
    pub fn id_of(&self, record: &[u8], order: ByteOrder) -> Option<u64> {
        let (at, size) = self.type_at;
        order.uint(record.get(at..at + size)?)
    }
}

fn place_of(field: &Field) -> (usize, usize) {
    (field.offset() as usize, field.size() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, id: u16) -> EventFormat {
        let text = format!(
            "name: {name}\nID: {id}\nformat:\n\
             \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        );
        EventFormat::parse("s", text.as_bytes()).unwrap()
    }

    #[test]
    fn records_find_their_descriptions() {
        let mut formats = Formats::default();
        assert!(formats.of(&[1, 0], ByteOrder::Little).is_none());
        assert!(formats.push(format("a", 3)) && formats.push(format("b", 1)));
        assert!(!formats.push(format("again", 3)));
        assert_eq!(formats.all().len(), 2);
        let name = |record: &[u8], order| {
            Some(formats.all()[formats.of(record, order)?].name().to_owned())
        };
        assert_eq!(name(&[3, 0, 9], ByteOrder::Little).as_deref(), Some("a"));
        assert_eq!(name(&[0, 1], ByteOrder::Big).as_deref(), Some("b"));
        assert_eq!(name(&[2, 0], ByteOrder::Little), None);
        assert_eq!(name(&[9, 9], ByteOrder::Little), None);
        assert_eq!(name(&[3], ByteOrder::Little), None);
    }
}
