//! Strings as small numbers.

use std::collections::HashMap;
use std::sync::Arc;

/// A string kept by an [`Interner`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u32);

/// Keeps each distinct byte string once. The empty string is always `NameId(0)`.
///
/// Strings come from traces, so the map that finds them uses the standard library's keyed hash.
#[derive(Debug)]
pub struct Interner {
    ids: HashMap<Arc<[u8]>, NameId>,
    names: Vec<Arc<[u8]>>,
}

impl Default for Interner {
    fn default() -> Self {
        let mut interner = Self {
            ids: HashMap::new(),
            names: Vec::new(),
        };
        interner.intern(b"");
        interner
    }
}

impl Interner {
    /// The number of `name`, the same for the same bytes.
    pub fn intern(&mut self, name: &[u8]) -> NameId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = NameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let kept: Arc<[u8]> = Arc::from(name);
        self.names.push(Arc::clone(&kept));
        self.ids.insert(kept, id);
        id
    }

    /// The bytes behind `id`; empty for a number this interner never gave.
    pub fn get(&self, id: NameId) -> &[u8] {
        self.names.get(id.0 as usize).map_or(b"", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_bytes_same_number() {
        let mut names = Interner::default();
        let qemu = names.intern(b"qemu");
        assert_eq!(names.intern(b"qemu"), qemu);
        assert_eq!(names.get(qemu), b"qemu");
        assert_eq!(names.intern(b""), NameId(0));
        assert_eq!(names.get(NameId(99)), b"");
    }
}
