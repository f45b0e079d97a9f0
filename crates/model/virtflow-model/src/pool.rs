//! Things by their place, where the places of those that are over can be used again.

use std::ops::{Deref, DerefMut};

/// Things that others name by their place. A place is used again only after it was
/// [released](Self::release).
#[derive(Debug)]
pub(crate) struct Pool<T> {
    all: Vec<T>,
    vacant: Vec<usize>,
    is_vacant: Vec<bool>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            vacant: Vec::new(),
            is_vacant: Vec::new(),
        }
    }
}

impl<T> Pool<T> {
    /// Puts something in; its place.
    pub(crate) fn insert(&mut self, thing: T) -> usize {
        if let Some(at) = self.vacant.pop() {
            self.is_vacant[at] = false;
            self.all[at] = thing;
            return at;
        }
        self.all.push(thing);
        self.is_vacant.push(false);
        self.all.len() - 1
    }

    /// Nobody names the thing at this place any more.
    pub(crate) fn release(&mut self, at: usize) {
        if self.is_vacant.get(at) == Some(&false) {
            self.is_vacant[at] = true;
            self.vacant.push(at);
        }
    }

    /// The places in use.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + use<'_, T> {
        let all = self.is_vacant.iter().enumerate();
        all.filter(|(_, vacant)| !**vacant).map(|(at, _)| at)
    }

    /// How many are in use.
    pub(crate) const fn in_use(&self) -> usize {
        self.all.len() - self.vacant.len()
    }
}

impl<T> Deref for Pool<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<T> DerefMut for Pool<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_once_it_is_released() {
        let mut pool = Pool::default();
        assert_eq!((pool.insert('a'), pool.insert('b')), (0, 1));
        pool.release(0);
        pool.release(0);
        assert_eq!(
            (pool.in_use(), pool.places().collect::<Vec<_>>()),
            (1, vec![1])
        );
        assert_eq!((pool.insert('c'), pool.insert('d')), (0, 2));
        assert_eq!(&*pool, &['c', 'b', 'd']);
    }
}
